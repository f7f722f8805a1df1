"""Have a worker do one task, and return its answer."""

from __future__ import annotations

import asyncio
import json
import tempfile
from typing import TYPE_CHECKING, Any

from backend import host
from backend.errors import EngineArriving, TaskFailed
from backend.redaction import without_secrets
from backend.workers import spawn

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Callable

TAIL_BYTES = 4096
PLUGINS = {"describe-connector", "check-connector"}
PLUGINS_FAULT = "Update or remove this plugin, or report it to its maker; the others work without it."
SLOW_REMEDY = {
    "keyring": "Unlock the system's keyring, which may be asking for its password, and try again.",
    "describe-connector": PLUGINS_FAULT,
    "check-connector": "See that the network and the service are there, and try again.",
}
ASK_HUB = {"merge", "count-tokens", "push"}  # the others have no business with the user's token


class Tasks:
    """Does tasks, each in a process of its own, once the runtime is whole."""

    def __init__(self, engine_is_whole: Callable[[], bool]) -> None:
        self._engine_is_whole = engine_is_whole

    async def run(
        self,
        task: str,
        *,
        seconds: float | None = None,
        tell: Callable[[dict[str, Any]], None] = lambda _: None,
        **arguments: Any,
    ) -> Any:
        """Do a task of `backend.tasks.worker` and return what it returns; it gets so many `seconds`, None: any.

        `tell` is called with what it tells on the way. Raises EngineArriving, TaskFailed.
        """
        if not self._engine_is_whole():
            raise EngineArriving
        with tempfile.TemporaryFile() as log:
            process = await spawn("backend.tasks.worker", task, log=log, listens=True, asks_hub=task in ASK_HUB)
            try:
                async with asyncio.timeout(seconds):
                    answer = await _converse(process, arguments, tell)
            except TimeoutError as error:
                raise _too_slow(task, seconds) from error
            finally:  # the request may have been given up
                host.kill_group(process.pid)
                status = await process.wait()
            if answer is None:
                log.seek(0)
                raise _unexplained(task, status, log.read()[-TAIL_BYTES:].decode("utf-8", errors="replace"))
        if "failed" in answer:
            raise TaskFailed(**answer["failed"])
        return answer["result"]


async def _converse(
    process: Process, arguments: dict[str, Any], tell: Callable[[dict[str, Any]], None]
) -> dict[str, Any] | None:
    """Give a worker its arguments, and pass on what it tells; return its answer, None if it ends without."""
    assert process.stdin is not None
    assert process.stdout is not None
    # Not by the command line, which every user of the machine can read: there may be secrets in it.
    process.stdin.write(json.dumps(arguments).encode())
    process.stdin.close()
    answer = None
    async for line in process.stdout:
        told = json.loads(line)
        if "told" in told:
            tell(told["told"])
        else:
            answer = told
    await process.wait()  # how it ends is its own to say: whoever kills it now would not know
    return answer


def _too_slow(task: str, seconds: float | None) -> TaskFailed:
    message = f"The task {task} was ended: it did not answer within {seconds:.0f} s"
    return TaskFailed("task-too-slow", message, SLOW_REMEDY.get(task, "Try again when the machine is less busy."))


def _unexplained(task: str, status: int, said: str) -> TaskFailed:
    if host.was_killed(status):
        return TaskFailed(
            "out-of-memory",
            f"The system ended the task {task}, most often since memory ran out",
            "Close other programs, or use a smaller model.",
        )
    lines = [line for line in without_secrets(said).splitlines() if line.strip()]
    reason = lines[-1] if lines else "it said nothing"
    return TaskFailed(
        "task-failed",
        f"The task {task} ended with status {status}: {reason}",
        PLUGINS_FAULT if task in PLUGINS else "Report it with the lines in `detail`.",
        lines,
    )
