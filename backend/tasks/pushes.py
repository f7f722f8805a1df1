"""What goes to the hub, and how far it is."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any, Literal

from typing_extensions import TypedDict

from backend.clock import Time, now
from backend.errors import DocumentUnknown, RequestError, TaskFailed
from backend.problem import Problem

if TYPE_CHECKING:
    from pathlib import Path

    from backend.tasks.process import Tasks
    from backend.tasks.results import Pushed

REMEMBERED = 100  # pushes, those that have ended too


class PushProgress(TypedDict):
    """One push: bytes; `total` is null until the files have been looked at. `commit` is there when it has completed."""

    id: str
    folder: str
    repository: str
    state: Literal["running", "completed", "cancelled", "failed"]
    done: int
    total: int | None
    started_at: Time
    ended_at: Time | None
    commit: str | None
    error: Problem | None


class Pushes:
    """Pushes folders to the hub, any number at once, and remembers the last ones while the backend runs."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._pushes: dict[str, PushProgress] = {}
        self._working: dict[str, asyncio.Task[Any]] = {}

    async def push(self, folder: Path, repository: str, message: str, *, private: bool) -> Pushed:
        """Push a folder, and return where it is then. Raises EngineArriving, TaskFailed."""
        push: PushProgress = {
            "id": uuid.uuid4().hex[:12],
            "folder": str(folder),
            "repository": repository,
            "state": "running",
            "done": 0,
            "total": None,
            "started_at": now(),
            "ended_at": None,
            "commit": None,
            "error": None,
        }
        self._remember(push)

        def move(told: dict[str, int]) -> None:
            push["done"], push["total"] = told["done"], told["total"]

        work = self._tasks.run(
            "push", tell=move, folder=str(folder), repository=repository, private=private, message=message
        )
        self._working[push["id"]] = working = asyncio.create_task(work)
        try:
            pushed: Pushed = await working
        except asyncio.CancelledError:
            if push["state"] != "cancelled":  # it is the request that was given up
                push["state"] = "cancelled"
                raise
            remedy = "Push it again: large files that the hub has already are not sent again."
            raise TaskFailed("push-cancelled", f"The push to {repository} was cancelled", remedy) from None
        except RequestError as error:
            push["error"] = error.to_dict()
            raise
        else:
            push["state"], push["commit"], push["done"] = "completed", pushed["commit"], push["total"] or 0
            return pushed
        finally:
            if push["state"] == "running":
                push["state"] = "failed"
            push["ended_at"] = now()
            del self._working[push["id"]]

    def all(self) -> list[PushProgress]:
        """Return the pushes, the last started first."""
        return list(reversed(self._pushes.values()))

    def cancel(self, push_id: str) -> PushProgress:
        """End a push, if it still runs. Raises DocumentUnknown."""
        push = self._pushes.get(push_id)
        if push is None:
            raise DocumentUnknown("push", push_id)
        if (working := self._working.get(push_id)) is not None:
            push["state"] = "cancelled"
            working.cancel()
        return push

    def _remember(self, push: PushProgress) -> None:
        self._pushes[push["id"]] = push
        ended = [one for one in self._pushes if one not in self._working and one != push["id"]]
        for one in ended[: max(0, len(self._pushes) - REMEMBERED)]:
            del self._pushes[one]
