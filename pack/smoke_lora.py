"""One step of LoRA on a model of a few thousand parameters: `<runtime's python> smoke_lora.py FOLDER`.

verify runs it in the packed runtime. It shows that torch computes, that transformers and peft work together, and
that an adapter comes back from disk as it went there.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

folder = Path(sys.argv[1])
torch.manual_seed(0)
config = LlamaConfig(
    vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
    num_key_value_heads=2,
)  # fmt: skip
LlamaForCausalLM(config).save_pretrained(folder / "model")
tokens = torch.arange(32).reshape(1, 32)


def load() -> torch.nn.Module:
    """Return the model as it is on disk."""
    return AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32)


model = get_peft_model(load(), LoraConfig(task_type="CAUSAL_LM", r=4, target_modules=["q_proj", "v_proj"]))
optimizer = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=0.1)
before = model(input_ids=tokens, labels=tokens).loss
before.backward()
optimizer.step()
after = model(input_ids=tokens, labels=tokens).loss.item()
model.save_pretrained(folder / "adapter")
again = PeftModel.from_pretrained(load(), folder / "adapter")(input_ids=tokens, labels=tokens).loss.item()
if not after < before.item() or abs(again - after) > 1e-5:
    sys.exit(f"the loss was {before.item():.6f} before the step, {after:.6f} after it, {again:.6f} from disk")
print(f"the loss fell from {before.item():.4f} to {after:.4f}")
