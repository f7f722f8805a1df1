"""Whether a model can be trained with so much memory, by which methods, and what to change where not. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from typing_extensions import TypedDict

from backend.defaults import USABLE, USUAL_BATCH, fits, precision
from backend.estimates import MIB_IN_GIB, Workload, memory_mb
from backend.methods import METHODS
from backend.training.plan import PROMPT_METHODS, MethodName, TrainingPlan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backend.hardware import Device
    from backend.methods import Method

# What takes less memory, the least loss first, as a workload has it and as a request says it; each adds to the last.
EASINGS: tuple[tuple[dict[str, Any], str], ...] = (
    ({"batch_size": 1}, "batch_size 1"),
    ({"gradient_checkpointing": True}, "gradient_checkpointing"),
    ({"sequence_length": TrainingPlan.max_seq_length / 2}, f"max_seq_length {TrainingPlan.max_seq_length // 2}"),
)


class MethodFit(TypedDict):
    """What a training by one method needs with the usual settings, and what it can have, in MiB; what to change."""

    method: MethodName
    needed_mb: float
    available_mb: float
    fits: bool
    change: str | None


class Compatibility(TypedDict):
    """Whether a model can be trained; `estimatedVRAM` is what the best way that fits needs, else the least, in GiB."""

    model_id: str
    compatible: bool
    estimatedVRAM: float
    memory: Literal["gpu", "main"]
    warnings: list[str]
    recommendations: list[str]
    methods: list[MethodFit]


@dataclass(frozen=True, kw_only=True)
class Way:
    """A way to train: a method, and what has to be said of it that is not usual."""

    method: Method
    work: Workload
    said: tuple[str, ...] = ()

    @property
    def needed_mb(self) -> float:
        """The MiB that it needs."""
        return memory_mb(self.work)

    def __str__(self) -> str:
        return self.method.name + (f" with {' and '.join(self.said)}" if self.said else "")


def compatibility(model_id: str, parameters: float, device: Device) -> Compatibility:
    """Return how a model of so many parameters can be trained on a device."""
    by_method = [list(_ways(method, parameters, device)) for method in METHODS]
    ways = [way for of_one in by_method if _can(of_one[0].method, device) for way in of_one]
    best = next((way for way in ways if fits(way.work, device.memory_mb)), None)
    least = min(ways, key=lambda way: way.needed_mb)
    room = f"of {_gb(device.memory_mb)} of free memory a training can have {_gb(USABLE * device.memory_mb)}"
    warnings = []
    if best is None:
        warnings = [f"No method fits: the least, {least}, needs {_gb(least.needed_mb)}, and {room}"]
        advice = f"Choose a smaller model, or a machine with {_gb(least.needed_mb / USABLE)} of free memory"
    else:
        if best is not ways[0]:
            warnings = [f"{ways[0]} needs {_gb(ways[0].needed_mb)} with the usual settings, and {room}"]
        advice = f"Train by {best}, which needs {_gb(best.needed_mb)}"
    return {
        "model_id": model_id,
        "compatible": best is not None,
        "estimatedVRAM": round((best or least).needed_mb / MIB_IN_GIB, 2),
        "memory": "main" if device.compute_capability is None else "gpu",
        "warnings": warnings,
        "recommendations": [advice],
        "methods": [_method_fit(of_one, device) for of_one in by_method],
    }


def _ways(method: Method, parameters: float, device: Device) -> Iterator[Way]:
    """Yield the ways to train by a method: the usual one, then those that take less and less memory."""
    work = Workload(
        parameters=parameters,
        batch_size=USUAL_BATCH,
        sequence_length=TrainingPlan.max_seq_length,
        method=method.id,
        precision=precision(device.compute_capability),
        quantization="4bit" if method.id == "qlora" else "none",
    )
    said: tuple[str, ...] = ()
    yield Way(method=method, work=work)
    for change, words in EASINGS:
        if "gradient_checkpointing" in change and method.id in PROMPT_METHODS:
            continue
        work, said = replace(work, **change), (*said, words)
        yield Way(method=method, work=work, said=said)


def _can(method: Method, device: Device) -> bool:
    return device.compute_capability is not None or not method.needs_cuda


def _method_fit(ways: list[Way], device: Device) -> MethodFit:
    usual = ways[0]
    can = _can(usual.method, device)
    found = next((way for way in ways if fits(way.work, device.memory_mb)), None)
    if not can:
        change: str | None = "Choose another method: it needs an NVIDIA GPU"
    elif found is None:
        last = ways[-1]
        change = f"Choose another method or a smaller model: {last} needs {_gb(last.needed_mb)}"
    else:
        change = f"Choose {' and '.join(found.said)}: it then needs {_gb(found.needed_mb)}" if found.said else None
    return {
        "method": usual.method.id,
        "needed_mb": round(usual.needed_mb, 1),
        "available_mb": round(USABLE * device.memory_mb, 1),
        "fits": can and found is usual,
        "change": change,
    }


def _gb(mib: float) -> str:
    return f"{mib / MIB_IN_GIB:,.1f} GB"
