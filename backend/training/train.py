"""The training itself, with transformers' Trainer. For workers: torch and transformers are imported here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backend.adapters.shelf import RECORD, next_version
from backend.clock import now
from backend.datasets.rows import read_examples
from backend.documents import flush, write_whole
from backend.models.loading import load_model, load_tokenizer
from backend.models.tokens import has_template, learnt
from backend.training import checkpoints
from backend.training.adapters import extra_tokens, put_adapter, save_adapter
from backend.training.batch import batcher
from backend.training.events import Event, Note, Saved
from backend.training.memory import remedy, says_out_of_memory
from backend.training.monitor import monitor
from backend.training.precision import half_of, optimizer_of, quantization_of
from backend.training.world import ALONE, World, says_process_lost
from backend.working import CannotWork, first_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from backend.adapters.shelf import Learnt
    from backend.training.plan import TrainingPlan

MB = 1e6


def train(
    plan: TrainingPlan,
    folder: Path,
    adapter: Path,
    tell: Callable[[Event], None],
    asked_to_stop: Callable[[], bool],
    world: World = ALONE,
) -> None:
    """Train an adapter and save it; go on from the job's last checkpoint, if there is one.

    `asked_to_stop` is asked before the training and after every step; a training that was asked saves a checkpoint.
    Of the processes of a `world` the one that leads reads the examples and saves the adapter.
    Raises CannotWork, and DatasetUnusable if the dataset has changed since it was checked.
    """
    tell(_note("Importing torch, transformers and peft"))
    import torch

    try:
        _train(plan, folder, adapter, tell, asked_to_stop, world)
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if world.size > 1 and says_process_lost(error):
            message = "Another process of this training has ended, or cannot be reached any more"
            raise CannotWork("process-lost", message, "Look at what its machine says, and resume the job.") from error
        if not isinstance(error, torch.OutOfMemoryError) and not says_out_of_memory(error):
            raise
        message = f"Memory ran out: {first_line(error) or 'there was none left'}"
        raise CannotWork("out-of-memory", message, remedy(plan, cuda=torch.cuda.is_available())) from error


def _train(
    plan: TrainingPlan,
    folder: Path,
    adapter: Path,
    tell: Callable[[Event], None],
    asked_to_stop: Callable[[], bool],
    world: World,
) -> None:
    import torch
    import transformers

    transformers.set_seed(plan.seed)  # before the model: the adapter's first weights are drawn from it
    tell(_note(f"Loading {plan.model}"))
    half = half_of(torch, plan)
    tokenizer = load_tokenizer(plan.model)
    quantization = quantization_of(torch, transformers, plan)
    base = load_model(plan.model, dtype=half or torch.float32, quantization=quantization)
    held = base.get_memory_footprint() / MB
    length = _length(plan, base, tell)
    model = put_adapter(base, plan, folder if world.leads else None)
    trained, total = model.get_nb_trainable_parameters()
    tell(_note(f"Training {trained:,} parameters beside {total - trained:,} frozen ones, held in {held:,.1f} MB"))
    training, validation = _examples(plan, tokenizer, length, tell, world)
    trainer = transformers.Trainer(
        model=model,
        args=_arguments(
            transformers,
            plan,
            bf16=half is torch.bfloat16,
            fp16=half is torch.float16,
            use_cpu=world.size > 1 and not torch.cuda.is_available(),  # accelerate asks to be told
        ),
        train_dataset=training,
        eval_dataset=validation or None,
        data_collator=batcher(tokenizer.pad_token_id),
        processing_class=tokenizer,
        callbacks=[monitor(plan, tell, asked_to_stop, world)],
    )
    trainer.remove_callback(transformers.PrinterCallback)  # the monitor tells the same
    (stop,) = world.any(asked_to_stop())
    if stop:
        return
    last = checkpoints.last_whole(folder / checkpoints.FOLDER, world)
    if last is not None:
        tell(_note(f"Going on after step {checkpoints.step_of(last)}"))
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    if trainer.state.global_step < trainer.state.max_steps:
        tell(_note(f"Stopped after step {trainer.state.global_step} of {trainer.state.max_steps}"))
        return
    if not world.leads:
        return
    partial = save_adapter(model, plan, adapter, folder)
    tokenizer.save_pretrained(partial)
    version = next_version(adapter.parent, plan.name)
    record = {"plan": plan.to_dict(), "metrics": _metrics(trainer), "version": version, "created_at": now()}
    write_whole(partial / RECORD, record)
    flush(partial)
    partial.rename(adapter)  # there whole, or not at all
    tell(Saved(time=now(), adapter=str(adapter)))


def _examples(
    plan: TrainingPlan, tokenizer: Any, length: int, tell: Callable[[Event], None], world: World
) -> tuple[list[list[int]], list[list[int]]]:
    """Return the examples to train on and those to validate with, as tokens."""
    examples = world.share(list(read_examples(plan.dataset)) if world.leads else None)
    if not has_template(tokenizer) and any(not isinstance(example, str) for example in examples):
        message = 'The model has no chat template: its messages are written as lines of "role: content"'
        tell(Note(time=now(), level="WARN", message=message))
    rows = [learnt(tokenizer, example, length) for example in examples]
    kept = min(round(len(rows) * plan.validation_split), len(rows) - 1)
    training, validation = rows[: len(rows) - kept], rows[len(rows) - kept :]
    aside = f", {len(validation)} kept for validation" if validation else ""
    tell(_note(f"Training on {len(training)} examples{aside}"))
    return training, validation


def _length(plan: TrainingPlan, base: Any, tell: Callable[[Event], None]) -> int:
    """Return how many tokens of an example the model can take, at most as many as the plan says."""
    positions = getattr(base.config, "max_position_embeddings", None)
    if positions is None or plan.max_seq_length + extra_tokens(plan) <= positions:
        return plan.max_seq_length
    length = int(positions) - extra_tokens(plan)
    if length < 2:
        message = f"{plan.model} has {positions} positions, and the method takes {extra_tokens(plan)} of them"
        raise CannotWork("adapter-not-fitting", message, "Choose fewer virtual_tokens.")
    tell(Note(time=now(), level="WARN", message=f"The model takes {positions} positions: longer examples are cut"))
    return length


def _metrics(trainer: Any) -> Learnt:
    """Return how well the training went: its last losses, and how many steps and tokens it took."""
    history = trainer.state.log_history
    return {
        "steps": trainer.state.global_step,
        "tokens": int(trainer.state.num_input_tokens_seen),
        "loss": next((entry["loss"] for entry in reversed(history) if "loss" in entry), None),
        "val_loss": next((entry["eval_loss"] for entry in reversed(history) if "eval_loss" in entry), None),
    }


def _arguments(transformers: Any, plan: TrainingPlan, **device: bool) -> Any:
    by_steps = plan.eval_steps is not None
    validation = {"eval_strategy": "steps", "eval_steps": plan.eval_steps} if by_steps else {"eval_strategy": "epoch"}
    return transformers.TrainingArguments(
        output_dir=checkpoints.FOLDER,
        per_device_train_batch_size=plan.batch_size,
        per_device_eval_batch_size=plan.batch_size,
        gradient_accumulation_steps=plan.gradient_accumulation,
        gradient_checkpointing=plan.gradient_checkpointing,
        ddp_find_unused_parameters=False,  # an adapter has none
        learning_rate=plan.learning_rate,
        lr_scheduler_type=plan.lr_scheduler,
        optim=optimizer_of(plan),
        warmup_steps=plan.warmup_steps,
        weight_decay=plan.weight_decay,
        max_grad_norm=plan.max_grad_norm,
        num_train_epochs=plan.num_epochs,
        max_steps=plan.max_steps if plan.max_steps is not None else -1,
        seed=plan.seed,
        **device,
        **(validation if plan.validation_split else {}),
        prediction_loss_only=True,
        label_names=["labels"],  # an adapted model hides the signature that tells
        logging_steps=1,
        logging_first_step=True,
        logging_nan_inf_filter=False,  # it would show the last good loss in place of one that is none
        include_num_input_tokens_seen="all",
        save_strategy="no",  # the monitor says when
        save_total_limit=checkpoints.KEPT,
        save_on_each_node=True,  # machines share no disk: each goes on from its own
        report_to="none",
        disable_tqdm=True,
    )


def _note(message: str) -> Note:
    return Note(time=now(), level="INFO", message=message)
