"""One training, in a process of its own: `python -m backend.training.worker FOLDER ADAPTER PARENT`.

Reads FOLDER/plan.json, trains, and moves the finished adapter to ADAPTER. The only module that imports torch,
transformers and peft. It tells its progress as JSON lines on what was stdout; whatever the libraries print
goes to stderr, which the server keeps in a file. An error ends it with a traceback there and status 1.

SIGTERM asks it to stop: it finishes the step at hand, saves a checkpoint and ends with status 0.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from backend import host
from backend.jobs.job import now
from backend.training.dataset import read_texts
from backend.training.events import Event, Note, Progress, Saved, to_line
from backend.training.plan import TrainingPlan, is_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType


class StopRequest:
    """Whether somebody asked this process to stop."""

    def __init__(self) -> None:
        self._made = False
        signal.signal(signal.SIGTERM, self._make)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is the server's to pass on

    def made(self) -> bool:
        """Tell whether it was made."""
        return self._made

    def _make(self, _signal: int, _frame: FrameType | None) -> None:
        self._made = True


def main(arguments: list[str]) -> None:
    """Train as FOLDER/plan.json says."""
    folder, adapter, parent = Path(arguments[0]), Path(arguments[1]), int(arguments[2])
    host.die_with(parent)
    stop = StopRequest()
    tell = _teller(_take_stdout())
    os.chdir(folder)  # what the libraries leave in their current folder belongs to the job
    plan = TrainingPlan.from_dict(json.loads(Path("plan.json").read_text(encoding="utf-8")))
    train(plan, adapter, tell, stop)


def train(plan: TrainingPlan, adapter: Path, tell: Callable[[Event], None], stop: StopRequest) -> None:
    """Train a LoRA adapter and save it; `stop` is looked at before the training and after every step."""
    tell(Note(time=now(), level="INFO", message="Importing torch, transformers and peft"))
    import peft
    import torch
    import transformers

    transformers.set_seed(plan.seed)  # before the model: the adapter's first weights are drawn from it
    tell(Note(time=now(), level="INFO", message=f"Loading {plan.model}"))
    # Weights as safetensors and code of transformers' own only: neither runs what a download brings.
    source = {"trust_remote_code": False, "local_files_only": is_folder(plan.model)}
    tokenizer = transformers.AutoTokenizer.from_pretrained(plan.model, **source)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    half = _half(torch, plan)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        plan.model, use_safetensors=True, dtype=torch.float32 if half is None else half, **source
    )
    model = peft.get_peft_model(model, _lora(peft, plan))

    examples = [tokenizer(text, truncation=True, max_length=plan.max_seq_length) for text in read_texts(plan.dataset)]
    tell(Note(time=now(), level="INFO", message=f"Training on {len(examples)} examples"))
    trainer = transformers.Trainer(
        model=model,
        args=_arguments(transformers, plan, half=half),
        train_dataset=examples,
        data_collator=transformers.DataCollatorForLanguageModeling(tokenizer, mlm=False),
        processing_class=tokenizer,
        callbacks=[_monitor(transformers, tell, stop)],
    )
    if stop.made():
        return
    trainer.train()
    if stop.made() and trainer.state.global_step < trainer.state.max_steps:
        tell(Note(time=now(), level="INFO", message=f"Stopped after step {trainer.state.global_step}"))
        return
    partial = adapter.with_name(adapter.name + ".partial")
    model.save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    partial.rename(adapter)  # an adapter is there whole, or not at all
    tell(Saved(time=now(), adapter=str(adapter)))


def _half(torch: Any, plan: TrainingPlan) -> Any:
    """Return the half-precision type to train in, or None for full precision."""
    if plan.precision is not None:
        return {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}[plan.precision]
    return torch.bfloat16 if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else None


def _lora(peft: Any, plan: TrainingPlan) -> Any:
    return peft.LoraConfig(
        task_type="CAUSAL_LM",
        r=plan.r,
        lora_alpha=plan.lora_alpha,
        lora_dropout=plan.lora_dropout,
        target_modules=list(plan.target_modules) if plan.target_modules else "all-linear",
    )


def _arguments(transformers: Any, plan: TrainingPlan, *, half: Any) -> Any:
    return transformers.TrainingArguments(
        output_dir="checkpoints",
        per_device_train_batch_size=plan.batch_size,
        gradient_accumulation_steps=plan.gradient_accumulation,
        learning_rate=plan.learning_rate,
        lr_scheduler_type=plan.lr_scheduler,
        warmup_steps=plan.warmup_steps,
        weight_decay=plan.weight_decay,
        max_grad_norm=plan.max_grad_norm,
        num_train_epochs=plan.num_epochs,
        max_steps=plan.max_steps if plan.max_steps is not None else -1,
        seed=plan.seed,
        bf16=str(half) == "torch.bfloat16",
        fp16=str(half) == "torch.float16",
        logging_steps=1,
        logging_first_step=True,
        include_num_input_tokens_seen="all",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )


def _monitor(transformers: Any, tell: Callable[[Event], None], stop: StopRequest) -> Any:
    """Return a callback that tells each step's figures and passes a stop request on to the trainer."""

    class Monitor(transformers.TrainerCallback):  # type: ignore[misc]  # transformers is imported late
        def on_train_begin(self, _args: Any, _state: Any, _control: Any, **_: Any) -> None:
            self.began = time.monotonic()

        def on_step_end(self, _args: Any, _state: Any, control: Any, **_: Any) -> None:
            if stop.made():
                control.should_save = True
                control.should_training_stop = True

        def on_log(self, _args: Any, state: Any, _control: Any, logs: dict[str, float], **_: Any) -> None:
            if "loss" not in logs:  # the summary at the end
                return
            elapsed = time.monotonic() - self.began
            tell(
                Progress(
                    time=now(),
                    step=state.global_step,
                    total_steps=state.max_steps,
                    epoch=logs["epoch"],
                    loss=float(logs["loss"]),
                    learning_rate=logs["learning_rate"],
                    grad_norm=float(logs["grad_norm"]),
                    tokens_per_second=round(state.num_input_tokens_seen / elapsed, 1),
                    elapsed=round(elapsed, 3),
                    remaining=round(elapsed / state.global_step * (state.max_steps - state.global_step), 3),
                )
            )

    return Monitor()


def _take_stdout() -> TextIO:
    """Return stdout for ourselves, and send what anybody else prints there to stderr."""
    events = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    return events


def _teller(stream: TextIO) -> Callable[[Event], None]:
    def tell(event: Event) -> None:
        print(to_line(event), file=stream, flush=True)

    return tell


if __name__ == "__main__":
    main(sys.argv[1:])
