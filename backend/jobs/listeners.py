"""Who wants to hear of jobs as they go: of what one tells, or of every change of a state."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backend.jobs.job import Job
    from backend.training.events import Event


class Listeners:
    """Gives each listener a queue of its own, and puts into them what is told."""

    def __init__(self) -> None:
        self._followers: dict[str, set[asyncio.Queue[tuple[int, Event]]]] = {}
        self._watchers: set[asyncio.Queue[Job]] = set()

    @contextmanager
    def follow(self, job_id: str) -> Iterator[asyncio.Queue[tuple[int, Event]]]:
        """Give a queue that receives what the job tells from now on, each event with its number."""
        arriving: asyncio.Queue[tuple[int, Event]] = asyncio.Queue()
        followers = self._followers.setdefault(job_id, set())
        followers.add(arriving)
        try:
            yield arriving
        finally:
            followers.discard(arriving)

    @contextmanager
    def watch(self) -> Iterator[asyncio.Queue[Job]]:
        """Give a queue that receives every job whose state changes from now on."""
        changing: asyncio.Queue[Job] = asyncio.Queue()
        self._watchers.add(changing)
        try:
            yield changing
        finally:
            self._watchers.discard(changing)

    def tell(self, job_id: str, number: int, event: Event) -> None:
        """Pass on what a job tells."""
        for arriving in self._followers.get(job_id, ()):
            arriving.put_nowait((number, event))

    def changed(self, job: Job) -> None:
        """Pass on that a job has another state."""
        for watcher in self._watchers:
            watcher.put_nowait(job)
