"""One job at work: its worker's process, what it told that decides how it ends, and the ending."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backend import host
from backend.states import State
from backend.training.events import Failed, from_line

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Awaitable, Callable

    from backend.training.events import Event


@dataclass
class Run:
    """The job at work. `process` is None until it has started; `asked` is the state that it was asked to end in."""

    job_id: str
    process: Process | None = None
    failure: Failed | None = None
    asked: State | None = None

    def ask(self, state: State) -> None:
        """Ask the worker to stop, so that the job ends in `state`."""
        self.asked = self.asked or state
        if self.process is not None and self.process.returncode is None:
            self.process.terminate()

    def kill(self) -> None:
        """End the worker at once, and whatever it started."""
        if self.process is not None and self.process.returncode is None:
            host.kill_group(self.process.pid)

    async def listen(self, tell: Callable[[Event], Awaitable[None]]) -> int:
        """Pass on what the worker tells until it ends; return its exit status."""
        assert self.process is not None
        assert self.process.stdout is not None
        ending = asyncio.create_task(_end(self.process))
        async for line in self.process.stdout:
            event = from_line(line)
            if isinstance(event, Failed):
                self.failure = self.failure or event  # what other processes say later follows from the first
            await tell(event)
        return await ending


def outcome(status: int, *, saved: bool, asked: State | None) -> State:
    """Return the state in which a job ends, from its worker's exit status and what was asked of it."""
    if saved:
        return State.COMPLETED
    if asked is not None:
        return asked
    # Status 0 without an adapter: somebody else asked the worker to stop. Killed: it may go on where it was.
    return State.INTERRUPTED if status == 0 or host.was_killed(status) else State.FAILED


async def _end(worker: Process) -> int:
    """Wait until the worker ends, and leave nothing of its group behind; return its exit status."""
    status = await worker.wait()
    host.kill_group(worker.pid)  # a child of the worker's would also keep its end of our pipe open
    return status
