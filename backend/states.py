"""Where a training job is."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Queued and running jobs go on by themselves; paused, stopped, interrupted and failed ones once resumed."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"

    @property
    def ended(self) -> bool:
        """Whether the job is over, unless somebody resumes it."""
        return self not in (State.QUEUED, State.RUNNING, State.PAUSED)

    @property
    def needs_material(self) -> bool:
        """Whether model and dataset of the job have to stay: it goes on with them, now or once resumed."""
        return self is not State.COMPLETED

    @property
    def resumable(self) -> bool:
        """Whether the job can go on from where it was."""
        return self in (State.PAUSED, State.STOPPED, State.INTERRUPTED, State.FAILED)
