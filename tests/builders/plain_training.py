"""What a user of transformers and peft would write by hand: `<python> plain_training.py SETTINGS`.

The yardstick for the backend's training: SETTINGS is a JSON file; the losses, one a step, go to its `losses`.
It shares no code with the backend.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    DataCollatorForLanguageModeling,
    Trainer,
    TrainingArguments,
    set_seed,
)

settings = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
set_seed(settings["seed"])

tokenizer = AutoTokenizer.from_pretrained(settings["model"])
model = AutoModelForCausalLM.from_pretrained(settings["model"], dtype=torch.float32)
model = get_peft_model(
    model,
    LoraConfig(
        task_type="CAUSAL_LM",
        r=settings["r"],
        lora_alpha=settings["lora_alpha"],
        lora_dropout=settings["lora_dropout"],
        target_modules=settings["target_modules"],
    ),
)
rows = [json.loads(line)["text"] for line in Path(settings["dataset"]).read_text(encoding="utf-8").splitlines()]
trainer = Trainer(
    model=model,
    args=TrainingArguments(
        output_dir=settings["scratch"],
        per_device_train_batch_size=settings["batch_size"],
        learning_rate=settings["learning_rate"],
        max_steps=settings["max_steps"],
        seed=settings["seed"],
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    ),
    train_dataset=[tokenizer(row, truncation=True, max_length=settings["max_seq_length"]) for row in rows],
    data_collator=DataCollatorForLanguageModeling(tokenizer, mlm=False),
)
trainer.train()

losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
Path(settings["losses"]).write_text(json.dumps(losses), encoding="utf-8")
