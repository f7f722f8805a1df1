"""Where a training job is."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Queued and running jobs have more to come; an interrupted one can be resumed."""

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
