"""One training job as the store keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backend.training.plan import TrainingPlan


class State(StrEnum):
    """Where a job is. Queued and running ones have more to come; an interrupted one can be resumed."""

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"

    @property
    def ended(self) -> bool:
        """Whether no process will work on the job any more."""
        return self not in (State.QUEUED, State.RUNNING)


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job. Times are ISO 8601 with an offset; `error` has the API's one shape of errors."""

    id: str
    state: State
    plan: TrainingPlan
    created_at: str
    started_at: str | None = None
    ended_at: str | None = None
    adapter_path: str | None = None
    error: dict[str, Any] | None = None


def now() -> str:
    """Return this moment in ISO 8601, with its offset."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
