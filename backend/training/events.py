"""What is told of a training, one JSON object a line: by its worker, and in the end by the server."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from backend.states import State

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, kw_only=True)
class Progress:
    """One logged step. Times in seconds since this worker began to train, memory in bytes, shares in per cent.

    `grad_norm` is None where it overflowed, as it may in half precision; `gpu_memory`, this process's peak, without
    CUDA. What the driver says has one value a GPU. Validations are the last that were done.
    """

    kind: ClassVar[str] = "progress"

    time: str
    step: int
    total_steps: int
    epoch: float
    loss: float
    learning_rate: float
    grad_norm: float | None
    tokens_per_second: float
    elapsed: float
    remaining: float
    samples_per_second: float | None = None
    val_loss: float | None = None
    val_perplexity: float | None = None
    cpu: float | None = None
    ram: int | None = None
    gpu_memory: int | None = None
    gpu_utilization: tuple[int, ...] = ()
    gpu_temperature: tuple[int, ...] = ()
    gpu_memory_used: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """The loss on the examples that are kept for validation, after a step."""

    kind: ClassVar[str] = "evaluated"

    time: str
    step: int
    loss: float
    perplexity: float


@dataclass(frozen=True, kw_only=True)
class Note:
    """A sentence for the job's log; `level` is INFO, WARN or ERROR."""

    kind: ClassVar[str] = "note"

    time: str
    level: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Saved:
    """The adapter is whole, in the folder `adapter`."""

    kind: ClassVar[str] = "saved"

    time: str
    adapter: str


@dataclass(frozen=True, kw_only=True)
class Failed:
    """The training cannot be done, for a reason that the worker understands."""

    kind: ClassVar[str] = "failed"

    time: str
    code: str
    message: str
    remedy: str


@dataclass(frozen=True, kw_only=True)
class Changed:
    """The job has another state now. The server alone says this."""

    kind: ClassVar[str] = "changed"

    time: str
    state: State


Event = Progress | Evaluated | Note | Saved | Failed | Changed
_KINDS: dict[str, type[Event]] = {event.kind: event for event in (Progress, Evaluated, Note, Saved, Failed, Changed)}


def replayed(events: Iterable[Event]) -> list[Event]:
    """Return what a job told, without the steps that it trained again after it was killed and resumed."""
    told: list[Event] = []
    reached: dict[type[Event], float] = {}
    for event in reversed(list(events)):
        if isinstance(event, Progress | Evaluated):
            if event.step >= reached.get(type(event), math.inf):
                continue
            reached[type(event)] = event.step
        told.append(event)
    return told[::-1]


def to_line(event: Event) -> str:
    """Return the event as one line of JSON, without the line's end."""
    return json.dumps({"event": event.kind, **vars(event)}, allow_nan=False)  # NaN is no JSON to a browser


def from_line(line: str | bytes) -> Event:
    """Return the event that `to_line` wrote."""
    facts = json.loads(line)
    kind = _KINDS[facts.pop("event")]
    if kind is Changed:
        facts["state"] = State(facts["state"])
    known: dict[str, Any] = {name: tuple(fact) if isinstance(fact, list) else fact for name, fact in facts.items()}
    return kind(**known)
