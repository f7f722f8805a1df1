"""One training job as the store keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from backend.problem import Problem
    from backend.states import State
    from backend.training.plan import TrainingPlan


WaitsFor = Literal["engine", "jobs"]  # the rest of the runtime, or the jobs before this one


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
    error: Problem | None = None
