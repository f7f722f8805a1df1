"""One job at work: its worker's process, what it told that decides how it ends, and the ending."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backend import host
from backend.estimates import MIB
from backend.hardware import NOTHING, Held
from backend.states import State
from backend.training.events import Failed, Progress, from_line
from backend.workers import LINE_BYTES, STOP

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Awaitable, Callable

    from backend.errors import BackendError
    from backend.folders import Folders
    from backend.jobs.job import Job
    from backend.training.events import Event

DELIVERY_SECONDS = 0.1  # between two, since each is a transaction, and a small model takes a hundred steps a second
STEPS_TO_STOP = 3  # a worker that was asked while it began one ends it, validates, and saves


@dataclass
class Run:
    """The job at work.

    `process` is None until it has started; `asked` is the state that it was asked to end in, `ended` the one that it
    ended in, with its error if it failed. A worker that is asked to stop gets `grace_seconds`, and what a few of its
    own steps take, before it is killed: `overdue` says that it came to that. `held` is what it last said that it holds.
    """

    job: Job
    grace_seconds: float
    process: Process | None = None
    failure: Failed | None = None
    asked: State | None = None
    ended: tuple[State, BackendError | None] | None = None
    overdue: bool = False
    step_seconds: float = 0.0
    held: Held = NOTHING
    _elapsed: float = 0.0

    def ask(self, state: State) -> None:
        """Ask the worker to stop, so that the job ends in `state`: the last wish counts."""
        first, self.asked = self.asked is None, state
        if first and self.process is not None and self.process.returncode is None:
            assert self.process.stdin is not None
            self.process.stdin.write(STOP)
            seconds = self.grace_seconds + STEPS_TO_STOP * self.step_seconds
            asyncio.get_running_loop().call_later(seconds, self._lose_patience)

    def kill(self) -> None:
        """End the worker at once, and whatever it started."""
        if self.process is not None and self.process.returncode is None:
            host.kill_group(self.process.pid)

    def _lose_patience(self) -> None:
        self.overdue = self.process is not None and self.process.returncode is None
        self.kill()

    async def listen(self, tell: Callable[[list[Event]], Awaitable[None]]) -> int:
        """Pass on what the worker tells until it ends, the first at once; return its exit status."""
        assert self.process is not None
        assert self.process.stdout is not None
        ending = asyncio.create_task(_end(self.process))
        torn = b""  # of a line that is still being written, or that its worker was killed over
        while arrived := await self.process.stdout.read(LINE_BYTES):
            *lines, torn = (torn + arrived).split(b"\n")
            events = [from_line(line) for line in lines]
            for event in events:
                self._learn(event)
            if events:
                await tell(events)
            await asyncio.wait({ending}, timeout=DELIVERY_SECONDS)
        return await ending

    def _learn(self, event: Event) -> None:
        if isinstance(event, Failed):
            self.failure = self.failure or event  # what other processes say later follows from the first
        elif isinstance(event, Progress):
            self.step_seconds = max(self.step_seconds, event.elapsed - self._elapsed)
            self._elapsed = event.elapsed
            memory = event.ram if event.gpu_memory is None else event.gpu_memory
            self.held = Held(memory_mb=(memory or 0) / MIB, processes=self.job.plan.nproc_per_node)


def outcome(status: int, *, saved: bool, asked: State | None) -> State:
    """Return the state in which a job ends, from its worker's exit status and what was asked of it."""
    if saved:
        return State.COMPLETED
    if asked is not None:
        return asked
    # Status 0 without an adapter: somebody else asked the worker to stop. Killed: it may go on where it was.
    return State.INTERRUPTED if status == 0 or host.was_killed(status) else State.FAILED


def saved_adapter(folders: Folders, job_id: str) -> str | None:
    """Return a job's adapter if it is there: a worker moves it there whole, as its last deed."""
    adapter = folders.adapter(job_id)
    return str(adapter) if adapter.is_dir() else None


async def _end(worker: Process) -> int:
    """Wait until the worker ends, and leave nothing of its group behind; return its exit status."""
    status = await worker.wait()
    host.kill_group(worker.pid)  # a child of the worker's would also keep its end of our pipe open
    return status
