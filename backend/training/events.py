"""What a worker tells the server, one JSON object a line, and how the app's monitors hear it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from backend.jobs.job import State

# The app's monitor knows four words; the true state goes beside them.
STATUS = {
    State.QUEUED: "paused",
    State.RUNNING: "running",
    State.COMPLETED: "completed",
    State.STOPPED: "completed",
    State.INTERRUPTED: "paused",
    State.FAILED: "failed",
}


@dataclass(frozen=True, kw_only=True)
class Progress:
    """One logged step. Times in seconds; `time` is ISO 8601 with an offset."""

    kind: ClassVar[str] = "progress"

    time: str
    step: int
    total_steps: int
    epoch: float
    loss: float
    learning_rate: float
    grad_norm: float
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
class Changed:
    """The job has another state now. The server alone says this."""

    kind: ClassVar[str] = "changed"

    time: str
    state: State


Event = Progress | Note | Saved | Changed
_KINDS: dict[str, type[Progress | Note | Saved | Changed]] = {
    event.kind: event for event in (Progress, Note, Saved, Changed)
}


def to_line(event: Event) -> str:
    """Return the event as one line of JSON, without the line's end."""
    return json.dumps({"event": event.kind, **asdict(event)})


def from_line(line: str | bytes) -> Event:
    """Return the event that `to_line` wrote."""
    facts = json.loads(line)
    kind = _KINDS[facts.pop("event")]
    if kind is Changed:
        facts["state"] = State(facts["state"])
    return kind(**facts)


def frames(event: Event) -> list[dict[str, Any]]:
    """Return the WebSocket messages of an event, in both dialects that the app's monitors speak."""
    match event:
        case Progress():
            return [_update(event), _metrics(event)]
        case Note(time=time, level=level, message=message):
            log = {"time": time, "level": level, "message": message}
            return [{"type": "log_entry", "data": {"log": log}}]
        case Changed(state=state):
            return [{"type": "status_change", "data": {"status": STATUS[state], "state": state.value}}]
        case Saved(time=time, adapter=adapter):
            log = {"time": time, "level": "INFO", "message": f"Adapter saved in {adapter}"}
            return [{"type": "log_entry", "data": {"log": log}}]


def _update(event: Progress) -> dict[str, Any]:
    return {
        "type": "training_update",
        "data": {
            "step": event.step,
            "totalSteps": event.total_steps,
            "epoch": event.epoch,
            "loss": event.loss,
            "learningRate": event.learning_rate,
            "tokensPerSecond": event.tokens_per_second,
            "timeElapsed": event.elapsed,
            "timeRemaining": event.remaining,
            "progress": round(100 * event.step / event.total_steps),
        },
    }


def _metrics(event: Progress) -> dict[str, Any]:
    return {
        "type": "metrics",
        "data": {
            "step": event.step,
            "epoch": event.epoch,
            "loss": event.loss,
            "learning_rate": event.learning_rate,
            "grad_norm": event.grad_norm,
            "throughput": event.tokens_per_second,
            "timestamp": event.time,
            "elapsed_time": event.elapsed,
            "estimated_time_remaining": event.remaining,
        },
    }
