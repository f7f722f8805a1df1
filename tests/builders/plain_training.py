"""What a user of transformers and peft would write by hand: `<python> plain_training.py SETTINGS`.

The yardstick for the backend's training: SETTINGS is a JSON file; the losses, one a step, go to its `losses`, and
the seconds between the first step's and the last one's to its `seconds`, if it has one.
It shares no code with the backend.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    DataCollatorForLanguageModeling,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)


class Clock(TrainerCallback):  # type: ignore[misc]  # transformers has no stubs here
    """Notes when each step was logged."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_log(self, _args, _state, _control, logs, **_) -> None:  # type: ignore[no-untyped-def]
        if "loss" in logs:
            self.times.append(time.monotonic())


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
lines = Path(settings["dataset"]).read_text(encoding="utf-8").splitlines()
texts = [json.loads(line)["text"] + tokenizer.eos_token for line in lines]
rows = [tokenizer(text, truncation=True, max_length=settings["max_seq_length"]) for text in texts]
clock = Clock()
trainer = Trainer(
    callbacks=[clock],
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
    train_dataset=rows,
    data_collator=DataCollatorForLanguageModeling(tokenizer, mlm=False),
)
trainer.train()

losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
Path(settings["losses"]).write_text(json.dumps(losses), encoding="utf-8")
if "seconds" in settings:
    Path(settings["seconds"]).write_text(json.dumps(clock.times[-1] - clock.times[0]), encoding="utf-8")
