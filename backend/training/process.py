"""Start a worker, and understand how it ended."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from backend import host
from backend.errors import BackendError
from backend.redaction import without_secrets
from backend.workers import spawn

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from pathlib import Path

    from backend.training.events import Failed
    from backend.training.plan import TrainingPlan

LOG_NAME = "worker.log"
TAIL_BYTES = 8192
TAIL_LINES = 20


class WorkerFailed(BackendError):
    """The worker ended with an error; it `told` the reason if it understood it, else its log has a traceback."""

    code = "training-failed"

    def __init__(self, status: int, log: Path, told: Failed | None) -> None:
        tail = _tail(log)
        message = f"The training process ended with status {status}: {_exception(tail)}"
        remedy = f"Look at {log}."
        if host.was_killed(status):
            message = "The system ended the training process, most often since memory ran out"
            remedy = "Choose a smaller batch_size or max_seq_length, or a smaller model."
        elif told is not None:
            self.code, message, remedy = told.code, told.message, told.remedy
        super().__init__(message, remedy, path=log, detail={"log": str(log), "last_lines": tail})


class WorkerNotStarted(BackendError):
    """The system could not start the worker, or its folder could not be written."""

    code = "training-not-started"

    def __init__(self, error: OSError, folder: Path) -> None:
        super().__init__(
            f"The training process could not be started: {error}",
            f"Make room and memory for it, and see that {folder} can be written.",
            path=folder,
        )


class WorkerNotFollowed(BackendError):
    """The worker could not be followed, by a bug of ours: the backend's log says where."""

    code = "training-not-followed"

    def __init__(self, error: BaseException) -> None:
        super().__init__(
            f"The training was ended since the backend could not follow it: {type(error).__name__}: {error}",
            "Report the last lines of the backend's log, and resume the job.",
        )


async def start_worker(plan: TrainingPlan, folder: Path, adapter: Path) -> Process:
    """Start a worker for the plan, or the agent of several, with its output kept in `folder`."""
    await asyncio.to_thread(_prepare, plan, folder, adapter)
    module = "backend.training.agent" if plan.is_distributed else "backend.training.worker"
    with (folder / LOG_NAME).open("ab") as log:
        return await spawn(module, str(folder), str(adapter), log=log, listens=True)


def _prepare(plan: TrainingPlan, folder: Path, adapter: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    adapter.parent.mkdir(parents=True, exist_ok=True)
    (folder / "plan.json").write_text(json.dumps(plan.to_dict(), indent=2), encoding="utf-8")


def _tail(log: Path) -> list[str]:
    """Return the last lines of a log that are not blank, oldest first, without secrets."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL_BYTES))
        text = file.read().decode("utf-8", errors="replace")
    return [line for line in without_secrets(text).splitlines() if line.strip()][-TAIL_LINES:]


def _exception(tail: list[str]) -> str:
    """Return the exception that a traceback at the end of the lines names, or else the last line."""
    after = 0
    for number, line in enumerate(tail):
        if line.startswith("  "):  # a frame of the traceback
            after = number + 1
    return " ".join(tail[after:]) or (tail[-1] if tail else "it said nothing")
