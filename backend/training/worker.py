"""One training, in a process of its own: `python -m backend.training.worker FOLDER ADAPTER PARENT`.

Reads FOLDER/plan.json, trains, and moves the finished adapter to ADAPTER. The only module that imports torch,
transformers and peft. It tells its progress as JSON lines on what was stdout; whatever the libraries print
goes to stderr, which the server keeps in a file. It ends with status 1 after an error that it could explain, and
after any other with a traceback in that file.

SIGTERM asks it to stop: it finishes the step at hand, saves a checkpoint and ends with status 0.
"""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from backend import host
from backend.clock import now
from backend.errors import BackendError
from backend.training.dataset import read_texts
from backend.training.events import Event, Failed, Note, Progress, Saved, to_line
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


class CannotTrain(BackendError):
    """The training cannot be done as planned, for a reason that its plan or this machine explains."""

    def __init__(self, code: str, message: str, remedy: str) -> None:
        super().__init__(message, remedy)
        self.code = code


def main(arguments: list[str]) -> int:
    """Train as FOLDER/plan.json says; return the exit status."""
    folder, adapter, parent = Path(arguments[0]), Path(arguments[1]), int(arguments[2])
    host.die_with(parent)
    stop = StopRequest()
    tell = _teller(_take_stdout())
    os.chdir(folder)  # what the libraries leave in their current folder belongs to the job
    plan = TrainingPlan.from_dict(json.loads(Path("plan.json").read_text(encoding="utf-8")))
    try:
        train(plan, adapter, tell, stop)
    except BackendError as error:
        tell(Failed(time=now(), code=error.code, message=error.message, remedy=error.remedy))
        return 1
    return 0


def train(plan: TrainingPlan, adapter: Path, tell: Callable[[Event], None], stop: StopRequest) -> None:
    """Train a LoRA adapter and save it; `stop` is looked at before the training and after every step.

    Raises CannotTrain, and DatasetUnusable if the dataset has changed since it was checked.
    """
    tell(_note("Importing torch, transformers and peft"))
    import torch
    import transformers

    transformers.set_seed(plan.seed)  # before the model: the adapter's first weights are drawn from it
    tell(_note(f"Loading {plan.model}"))
    half = _half(torch, plan)
    tokenizer, base = _load(transformers, plan.model, dtype=torch.float32 if half is None else half)
    model = _with_adapter(base, plan)
    examples = [tokenizer(text, truncation=True, max_length=plan.max_seq_length) for text in read_texts(plan.dataset)]
    tell(_note(f"Training on {len(examples)} examples"))
    trainer = transformers.Trainer(
        model=model,
        args=_arguments(transformers, plan, bf16=half is torch.bfloat16, fp16=half is torch.float16),
        train_dataset=examples,
        data_collator=transformers.DataCollatorForLanguageModeling(tokenizer, mlm=False),
        processing_class=tokenizer,
        callbacks=[_monitor(transformers, tell, stop)],
    )
    if stop.made():
        return
    try:
        trainer.train()
    except torch.OutOfMemoryError as error:
        remedy = "Choose a smaller batch_size or max_seq_length, or a smaller model."
        raise CannotTrain("out-of-memory", f"The accelerator's memory ran out: {_first_line(error)}", remedy) from error
    if trainer.state.global_step < trainer.state.max_steps:
        tell(_note(f"Stopped after step {trainer.state.global_step} of {trainer.state.max_steps}"))
        return
    _save(model, tokenizer, adapter)
    tell(Saved(time=now(), adapter=str(adapter)))


def _load(transformers: Any, name: str, *, dtype: Any) -> tuple[Any, Any]:
    """Return the tokenizer and the model of a folder or a hub id."""
    # Weights as safetensors and code of transformers' own only: neither runs what a download brings.
    source = {"trust_remote_code": False, "local_files_only": is_folder(name)}
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(name, **source)
        model = transformers.AutoModelForCausalLM.from_pretrained(name, use_safetensors=True, dtype=dtype, **source)
    except (OSError, ValueError) as error:  # what transformers raises for a model that is missing, or not whole
        message = f"The model {name} cannot be loaded: {_first_line(error)}"
        remedy = "Check its name and the network connection, or download it and give the full path of its folder."
        raise CannotTrain("model-not-loaded", message, remedy) from error
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer, model


def _with_adapter(base: Any, plan: TrainingPlan) -> Any:
    """Return the model with a new LoRA adapter, which alone will be trained."""
    import peft

    lora = peft.LoraConfig(
        task_type="CAUSAL_LM",
        r=plan.r,
        lora_alpha=plan.lora_alpha,
        lora_dropout=plan.lora_dropout,
        target_modules=list(plan.target_modules) if plan.target_modules else "all-linear",
    )
    try:
        return peft.get_peft_model(base, lora)
    except ValueError as error:  # what peft raises for layers that the model has not, or that cannot be adapted
        message = f"LoRA does not fit {plan.model}: {_first_line(error)}"
        remedy = "Leave target_modules out to adapt every linear layer, or name layers of this model."
        raise CannotTrain("adapter-not-fitting", message, remedy) from error


def _save(model: Any, tokenizer: Any, adapter: Path) -> None:
    partial = adapter.with_name(adapter.name + ".partial")
    model.save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    partial.rename(adapter)  # an adapter is there whole, or not at all


def _half(torch: Any, plan: TrainingPlan) -> Any:
    """Return the half-precision type to train in, or None for full precision."""
    if plan.precision is not None:
        return {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}[plan.precision]
    return torch.bfloat16 if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else None


def _arguments(transformers: Any, plan: TrainingPlan, **precision: bool) -> Any:
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
        **precision,
        logging_steps=1,
        logging_first_step=True,
        logging_nan_inf_filter=False,  # it would show the last good loss in place of one that is none
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
            loss, grad_norm = float(logs["loss"]), float(logs["grad_norm"])
            if not math.isfinite(loss):
                message = f"The training has diverged: the loss of step {state.global_step} is {loss}"
                raise CannotTrain("training-diverged", message, "Choose a lower learning_rate or lora_alpha.")
            elapsed = time.monotonic() - self.began
            tell(
                Progress(
                    time=now(),
                    step=state.global_step,
                    total_steps=state.max_steps,
                    epoch=logs["epoch"],
                    loss=loss,
                    learning_rate=logs["learning_rate"],
                    grad_norm=grad_norm if math.isfinite(grad_norm) else None,
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


def _note(message: str) -> Note:
    return Note(time=now(), level="INFO", message=message)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
