"""Make small models of three types, their tokenizers and a dataset on disk: `<python> models.py FOLDER`.

With `--larger NAME WIDTH DEPTH` it makes FOLDER/NAME as well, a Llama of this shape with 32,000 words.

Run it with an interpreter that has torch, such as the packed runtime's; tests themselves need none. The same
seeds give the same files. FOLDER/model is a Llama's folder as the hub has it, FOLDER/gpt2 and
FOLDER/qwen2 are the others', FOLDER/chat is a Llama whose tokenizer is one for conversations, FOLDER/older one that has
SentencePiece's tokenizer.model alone; FOLDER/dataset.jsonl has one example a line.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path
from typing import Any

SEED = 7
ROWS = 160
VOCABULARY = 320

# With these the Llama learns the sentences in seconds.
SETTINGS: dict[str, Any] = {
    "r": 8,
    "lora_alpha": 16,
    "lora_dropout": 0.05,
    "target_modules": ["q_proj", "v_proj", "up_proj", "down_proj"],
    "learning_rate": 1e-2,
    "batch_size": 8,
    "max_steps": 60,
    "max_seq_length": 64,
    "seed": 20261,
}

CHAT_TEMPLATE = "{% for m in messages %}<s>{{ m.role }}: {{ m.content }}</s>{% endfor %}"
# As many models for conversations have it: it writes what begins and ends a text itself, and refuses some roles.
OWN_TOKENS_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if m.role == 'tool' %}{{ raise_exception('Tools are not known here') }}{% endif %}"
    "{{ m.role }}:{{ m.content }}{% if m.role == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)

COLOURS = ("red", "green", "blue", "black", "white", "yellow")
ANIMALS = ("fox", "hare", "owl", "crow", "mole", "toad", "wolf", "stork")
PLACES = ("barn", "field", "river", "hill", "orchard", "gate")
VERBS = ("sleeps", "waits", "runs", "sings", "hides")


def build(folder: Path) -> None:
    """Write FOLDER/model (a Llama), FOLDER/gpt2, FOLDER/qwen2 and FOLDER/dataset.jsonl."""
    folder.mkdir(parents=True, exist_ok=True)
    sentences = make_sentences(ROWS)
    write_dataset(folder / "dataset.jsonl", sentences)
    for name, architecture in (("model", "llama"), ("gpt2", "gpt2"), ("qwen2", "qwen2")):
        write_model(folder / name, architecture, _tokenizer(sentences, CHAT_TEMPLATE if name == "qwen2" else None))
    write_model(folder / "chat", "llama", _chat_tokenizer(sentences))
    write_older(folder / "older", sentences)


def make_sentences(count: int) -> list[str]:
    """Return sentences regular enough that a small model learns them in a minute, and all from one seed."""
    chance = random.Random(SEED)
    return [
        f"The {chance.choice(COLOURS)} {chance.choice(ANIMALS)} {chance.choice(VERBS)} "
        f"by the {chance.choice(PLACES)}, and the {chance.choice(ANIMALS)} {chance.choice(VERBS)} too."
        for _ in range(count)
    ]


def write_dataset(path: Path, sentences: list[str]) -> None:
    """Write one JSON object with a `text` a line."""
    path.write_text("".join(json.dumps({"text": sentence}) + "\n" for sentence in sentences), encoding="utf-8")


def write_model(folder: Path, architecture: str, tokenizer: Any) -> None:
    """Write a model of some 300,000 random parameters, with its tokenizer."""
    _write_weights(folder, architecture, tokenizer)
    tokenizer.save_pretrained(folder)


def write_older(folder: Path, sentences: list[str]) -> None:
    """Write a Llama as they were first published: its tokenizer is what SentencePiece makes, and nothing else."""
    import sentencepiece
    from transformers import AutoTokenizer

    folder.mkdir()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences),
        model_prefix=str(folder / "tokenizer"),
        model_type="bpe",
        vocab_size=VOCABULARY,
        hard_vocab_limit=False,
        byte_fallback=True,
        minloglevel=2,
    )
    (folder / "tokenizer.vocab").unlink()  # for people to read
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "LlamaTokenizer"}))
    _write_weights(folder, "llama", AutoTokenizer.from_pretrained(folder))


def _write_weights(folder: Path, architecture: str, tokenizer: Any) -> None:
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    torch.manual_seed(SEED)
    AutoModelForCausalLM.from_config(_configuration(architecture, tokenizer)).save_pretrained(folder)


def write_larger(folder: Path, width: int, depth: int, tokenizer: Path) -> None:
    """Write a Llama of random parameters, its shape that of published ones: each layer has 12 × width² of them."""
    import shutil

    from transformers import AutoModelForCausalLM, LlamaConfig

    shape = {"hidden_size": width, "intermediate_size": width * 8 // 3, "num_hidden_layers": depth}
    config = LlamaConfig(vocab_size=32_000, num_attention_heads=8, tie_word_embeddings=True, pad_token_id=0, **shape)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(tokenizer / name, folder / name)


def _configuration(architecture: str, tokenizer: Any) -> Any:
    from transformers import GPT2Config, LlamaConfig, Qwen2Config

    common = {
        "vocab_size": len(tokenizer),
        # Wide first weights: a frozen random base then has something for an adapter to steer.
        "initializer_range": 0.2,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    if architecture == "gpt2":
        return GPT2Config(n_embd=96, n_layer=2, n_head=4, n_positions=256, **common)
    kind = {"llama": LlamaConfig, "qwen2": Qwen2Config}[architecture]
    return kind(
        hidden_size=96,
        intermediate_size=192,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        **common,
    )


def _chat_tokenizer(sentences: list[str]) -> Any:
    """Return a tokenizer without a token for padding, that begins each text with a token of its own."""
    from tokenizers.processors import TemplateProcessing

    tokenizer = _tokenizer(sentences, OWN_TOKENS_TEMPLATE)
    begins = TemplateProcessing(single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", tokenizer.bos_token_id)])
    tokenizer.backend_tokenizer.post_processor = begins
    tokenizer.pad_token = None
    return tokenizer


def _tokenizer(sentences: list[str], template: str | None) -> Any:
    """Return a byte-level tokenizer fit to the sentences."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<pad>", "<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(sentences, trainer)
    whole = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>")
    whole.chat_template = template
    return whole


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--larger", nargs=3, action="append", default=[], metavar=("NAME", "WIDTH", "DEPTH"))
    options = parser.parse_args()
    build(options.folder)
    for name, width, depth in options.larger:
        write_larger(options.folder / name, int(width), int(depth), options.folder / "model")
