"""Recognise that memory ran out, and say what to change. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backend.training.plan import PROMPT_METHODS

if TYPE_CHECKING:
    from backend.training.plan import TrainingPlan

# What torch says on a processor and on a Mac's GPU; on CUDA it has an error of its own.
SENTENCES = ("can't allocate memory", "not enough memory", "out of memory", "std::bad_alloc")
SHORT = 256


def says_out_of_memory(error: Exception) -> bool:
    """Tell whether an error of torch's means that memory ran out."""
    return isinstance(error, MemoryError) or any(sentence in str(error) for sentence in SENTENCES)


def remedy(plan: TrainingPlan, *, cuda: bool) -> str:
    """Return what to change first, second and last so that a training takes less memory."""
    advice = []
    if plan.batch_size > 1:
        smaller = plan.batch_size // 2
        steps = plan.gradient_accumulation * plan.batch_size // smaller
        advice.append(f"batch_size {smaller} with gradient_accumulation {steps}, which learns the same")
    if not plan.gradient_checkpointing and plan.method not in PROMPT_METHODS:
        advice.append("gradient_checkpointing, which is slower")
    if plan.max_seq_length > SHORT:
        advice.append(f"max_seq_length {plan.max_seq_length // 2}, which cuts longer examples")
    if cuda and plan.quantization == "none":
        advice.append("the method qlora")
    return f"Choose {', or '.join([*advice, 'a smaller model'])}."
