"""Defaults for a training from the model, the dataset and the machine, and why. Pure.

The app sends what it happens to know: floats for counts, null for what it does not know. Whatever cannot be read as
a number in its range counts as unknown, and the typical value stands in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from typing_extensions import TypedDict

from backend.estimates import MIB, PUBLISHED_BYTES, Workload, hours, memory_mb, rate
from backend.methods import METHODS, method_of
from backend.training.plan import PROMPT_METHODS, MethodName, Precision, Quantization, TrainingPlan
from backend.wizard import method_name

if TYPE_CHECKING:
    from collections.abc import Mapping

USABLE = 0.9  # of the memory: the rest is the allocator's and the display's
USUAL_BATCH = 4
BATCHES = (32, 16, 8)
STEPS_OF_AN_EPOCH = 32  # that a step of more examples than usual leaves
LARGE = 13e9  # parameters from which the learning rate is halved
METHOD_FIELDS = ("method", "peft_method", "algorithm")


class SmartDefaults(TypedDict):
    """Hyper-parameters, what they will cost (MiB, per cent of the memory, hours), and why they are what they are.

    The app does sums with all of the numbers: none of them is ever null.
    """

    batch_size: int
    gradient_accumulation_steps: int
    effective_batch_size: int
    learning_rate: float
    precision: Precision
    quantization: Quantization
    gradient_checkpointing: bool
    num_epochs: int
    max_steps: int
    estimated_memory_mb: float
    estimated_memory_mb_by_method: dict[MethodName, float]
    memory_utilization_percent: float
    estimated_training_time_hours: float
    explanations: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What the defaults depend on. Memory in MiB, lengths in tokens; `compute_capability` is None without a GPU.

    What its user has chosen is not ours to choose: None of `precision` and the fields behind it is what is left to us.
    """

    parameters: float
    memory_mb: float
    cores: float
    compute_capability: float | None
    samples: float
    average_length: float
    longest: float
    batch_wanted: int
    method: MethodName = "lora"
    precision: Precision | None = None
    quantization: Quantization | None = None
    gradient_checkpointing: bool | None = None
    gradient_accumulation: int | None = None
    r: int = TrainingPlan.r
    virtual_tokens: int = TrainingPlan.virtual_tokens


def situation(body: Mapping[str, Any]) -> Situation:
    """Read a request that may hold anything."""
    capability = number(body, "compute_capability", 0, 1, 20)
    parameters = number(body, "num_parameters", 0, 1e-3, 1e7) * 1e6
    if not parameters:
        parameters = number(body, "model_size_mb", 2000, 1e-3, 1e9) * MIB / PUBLISHED_BYTES
    longest = number(body, "max_sequence_length", number(body, "max_seq_length", 512, 2, 1e6), 2, 1e6)
    return Situation(
        parameters=parameters,
        # Without a GPU the app sends a made-up memory of one: main memory is what there is.
        memory_mb=number(body, "gpu_memory_mb", 8000, 1, 1e9)
        if capability
        else number(body, "ram_gb", 8, 0.1, 1e6) * 1024,
        cores=number(body, "cpu_cores", 4, 1, 1e4),
        compute_capability=capability or None,
        samples=number(body, "num_samples", 1000, 1, 1e12),
        average_length=min(longest, number(body, "avg_sequence_length", longest / 2, 1, 1e6)),
        longest=longest,
        batch_wanted=round(number(body, "target_effective_batch_size", 32, 1, 4096)),
        method=_method(body),
    )


def _method(body: Mapping[str, Any]) -> MethodName:
    asked = {method_name(body[field]) for field in METHOD_FIELDS if isinstance(body.get(field), str)}
    return next((method.id for method in METHODS if method.id in asked), "lora")


def learning_rate(method: MethodName, parameters: float | None) -> tuple[float, str]:
    """Return the learning rate to start from, and why; of a model of unknown size `parameters` is None."""
    chosen = method_of(method)
    if parameters is None or parameters < LARGE:
        return chosen.learning_rate, chosen.rate_reason
    size = f"{parameters / 1e9:.1f} billion parameters"
    return chosen.learning_rate / 2, f"{chosen.rate_reason}; halved, as is usual for a model of {size}"


def number(body: Mapping[str, Any], name: str, default: float, least: float, most: float) -> float:
    """Return a field as a number between two bounds, or the default where it is none."""
    try:
        found = float(body[name])
    except (KeyError, TypeError, ValueError, OverflowError):
        return default
    return min(max(found, least), most) if math.isfinite(found) else default


def smart_defaults(now: Situation) -> SmartDefaults:
    """Return hyper-parameters, what they will cost, and why they are what they are."""
    work = fitting(now)
    accumulation = max(1, math.ceil(now.batch_wanted / work.batch_size))
    rate_, reason = learning_rate(now.method, now.parameters)
    epochs = 5 if now.samples < 500 else 3 if now.samples < 10_000 else 1
    memory = memory_mb(work)
    tokens = now.samples * now.average_length * epochs
    return {
        "batch_size": work.batch_size,
        "gradient_accumulation_steps": accumulation,
        "effective_batch_size": work.batch_size * accumulation,
        "learning_rate": rate_,
        "precision": work.precision,
        "quantization": work.quantization,
        "gradient_checkpointing": work.gradient_checkpointing,
        "num_epochs": epochs,
        "max_steps": math.ceil(now.samples / (work.batch_size * accumulation)) * epochs,
        "estimated_memory_mb": round(memory, 1),
        "estimated_memory_mb_by_method": {
            method.id: round(memory_mb(_by(method.id, work)), 1)
            for method in METHODS
            if now.compute_capability or not method.needs_cuda
        },
        "memory_utilization_percent": round(100 * memory / now.memory_mb, 1),
        "estimated_training_time_hours": hours(now.parameters, tokens, rate(now.compute_capability, now.cores)),
        "explanations": _explanations(now, work, accumulation) | {"learning_rate": reason},
    }


def batch_defaults(now: Situation | None) -> dict[str, tuple[bool | int, str]]:
    """Return the batch of a training that names none, and what belongs to it, with why; None: of a model not known."""
    if now is None:
        return {"batch_size": (USUAL_BATCH, "Usual; how large the model is, is not known before it is on this machine")}
    work = fitting(now)
    step = f"a step of {examples_of_a_step(now.samples)} examples suits a dataset of {now.samples:.0f}"
    chosen: dict[str, tuple[bool | int, str]] = {"batch_size": (work.batch_size, f"{_fit(now, work)}; {step}")}
    steps = now.batch_wanted // work.batch_size
    if now.gradient_accumulation is None and steps > 1:
        why = f"{steps} batches make one step of {steps * work.batch_size} examples, which would not fit at once"
        chosen["gradient_accumulation"] = (steps, why)
    if now.gradient_checkpointing is None and work.gradient_checkpointing:
        chosen["gradient_checkpointing"] = (True, "Slower, and takes less memory: without, not even one example fits")
    return chosen


def examples_of_a_step(samples: float) -> int:
    """Return how many examples one step should learn from, so that an epoch has steps enough."""
    return next((batch for batch in BATCHES if samples >= batch * STEPS_OF_AN_EPOCH), USUAL_BATCH)


def fitting(now: Situation) -> Workload:
    """Return the workload with the largest batch that fits into memory, giving up speed before exactness.

    Where nothing fits, the smallest: the figures beside it then show by how much it does not.
    """
    work = Workload(
        parameters=now.parameters,
        batch_size=1,
        sequence_length=now.longest,
        method=now.method,
        precision=now.precision or precision(now.compute_capability),
        r=now.r,
        virtual_tokens=now.virtual_tokens,
    )
    for quantization in _quantizations(now):
        for checkpointing in _checkpointings(now):
            work = replace(work, quantization=quantization, gradient_checkpointing=checkpointing)
            if fits(work, now.memory_mb):
                return _largest_batch(now, work)
    return work


def fits(work: Workload, memory: float) -> bool:
    """Tell whether a training fits into so many MiB, by the estimate."""
    return memory_mb(work) <= USABLE * memory


def _quantizations(now: Situation) -> tuple[Quantization, ...]:
    if now.quantization is not None:
        return (now.quantization,)
    if now.method == "qlora":
        return ("4bit",)
    # Quantization needs a GPU, and overwrites a choice of the user's: the last resort.
    return ("none", "8bit", "4bit") if now.compute_capability else ("none",)


def _checkpointings(now: Situation) -> tuple[bool, ...]:
    if now.gradient_checkpointing is not None:
        return (now.gradient_checkpointing,)
    return (False,) if now.method in PROMPT_METHODS else (False, True)


def precision(compute_capability: float | None) -> Precision:
    """Return the best number format of a device: bfloat16 needs an Ampere GPU, halves are slow without a GPU."""
    if compute_capability is None:
        return "fp32"
    return "bf16" if compute_capability >= 8 else "fp16"


def _largest_batch(now: Situation, work: Workload) -> Workload:
    while work.batch_size * 2 <= now.batch_wanted:
        larger = replace(work, batch_size=work.batch_size * 2)
        if not fits(larger, now.memory_mb):
            break
        work = larger
    return work


def _by(method: MethodName, work: Workload) -> Workload:
    """Return the same training by another method."""
    return replace(work, method=method, quantization="4bit" if method == "qlora" else work.quantization)


def _explanations(now: Situation, work: Workload, accumulation: int) -> dict[str, str]:
    return {
        "batch_size": f"{_fit(now, work)}; {accumulation} of these make one step",
        "precision": {
            "fp32": "Without a GPU, halves are slower than full precision",
            "fp16": "This GPU computes halves, but not bfloat16",
            "bf16": "This GPU computes bfloat16: half the memory, with the range of full precision",
        }[work.precision],
    }


def _fit(now: Situation, work: Workload) -> str:
    """Say that a batch fits, or that not even the smallest does."""
    memory = f"{now.memory_mb / 1024:.3g} GB of {'GPU' if now.compute_capability else 'main'} memory"
    if not fits(work, now.memory_mb):
        needed = memory_mb(work) / 1024
        return f"By the estimate 1 example of {now.longest:.0f} tokens needs {needed:.3g} GB, too much for {memory}"
    examples = f"{work.batch_size} examples" if work.batch_size > 1 else "no more than 1 example"
    return f"By the estimate {examples} of up to {now.longest:.0f} tokens fit into {memory}"
