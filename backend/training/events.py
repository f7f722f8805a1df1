"""What is told of a training, one JSON object a line: by its worker, and in the end by the server."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import ClassVar

from backend.states import State


@dataclass(frozen=True, kw_only=True)
class Progress:
    """One logged step. Times in seconds; `grad_norm` is None where it overflowed, as it may in half precision."""

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


Event = Progress | Note | Saved | Failed | Changed
_KINDS: dict[str, type[Event]] = {event.kind: event for event in (Progress, Note, Saved, Failed, Changed)}


def to_line(event: Event) -> str:
    """Return the event as one line of JSON, without the line's end."""
    return json.dumps({"event": event.kind, **asdict(event)}, allow_nan=False)  # NaN is no JSON to a browser


def from_line(line: str | bytes) -> Event:
    """Return the event that `to_line` wrote."""
    facts = json.loads(line)
    kind = _KINDS[facts.pop("event")]
    if kind is Changed:
        facts["state"] = State(facts["state"])
    return kind(**facts)
