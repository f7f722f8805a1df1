"""Start a worker, and understand how it ended."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import backend
from backend import host
from backend.errors import BackendError

if TYPE_CHECKING:
    from asyncio.subprocess import Process

    from backend.training.events import Failed
    from backend.training.plan import TrainingPlan

LOG_NAME = "worker.log"
EVENT_BYTES = 1024 * 1024
TAIL_BYTES = 8192
TAIL_LINES = 20


class WorkerFailed(BackendError):
    """The worker ended with an error; it `told` the reason if it understood it, else its log has a traceback."""

    code = "training-failed"

    def __init__(self, status: int, log: Path, told: Failed | None) -> None:
        tail = _tail(log)
        message = f"The training process ended with status {status}: {_exception(tail)}"
        remedy = f"Look at {log}."
        if told is not None:
            self.code, message, remedy = told.code, told.message, told.remedy
        elif host.was_killed(status):
            message = "The system ended the training process, most often since memory ran out"
            remedy = "Choose a smaller batch_size or max_seq_length, or a smaller model."
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


async def start_worker(plan: TrainingPlan, folder: Path, adapter: Path, *, parent: int) -> Process:
    """Start a worker for the plan, in a process group of its own, with its output kept in `folder`."""
    await asyncio.to_thread(_prepare, plan, folder, adapter)
    with (folder / LOG_NAME).open("ab") as log:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *_interpreter_flags(),
            *("-m", "backend.training.worker", str(folder), str(adapter), str(parent)),
            # -m looks for modules in the current folder first, which is how a checkout's backend is found.
            cwd=Path(backend.__file__).parents[1],
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            limit=EVENT_BYTES,
            **host.own_group(),
        )


def _prepare(plan: TrainingPlan, folder: Path, adapter: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    adapter.parent.mkdir(parents=True, exist_ok=True)
    (folder / "plan.json").write_text(json.dumps(plan.to_dict(), indent=2), encoding="utf-8")


def _interpreter_flags() -> list[str]:
    """Return the flags that have a child treat its environment and bytecode as this interpreter does."""
    flags = {
        "-B": sys.dont_write_bytecode,
        "-E": sys.flags.ignore_environment,
        "-s": sys.flags.no_user_site,
        "-P": sys.flags.safe_path,
    }
    return [flag for flag, given in flags.items() if given]


def _tail(log: Path) -> list[str]:
    """Return the last lines of a log that are not blank, oldest first."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL_BYTES))
        text = file.read().decode("utf-8", errors="replace")
    return [line for line in text.splitlines() if line.strip()][-TAIL_LINES:]


def _exception(tail: list[str]) -> str:
    """Return the exception that a traceback at the end of the lines names, or else the last line."""
    after = 0
    for number, line in enumerate(tail):
        if line.startswith("  "):  # a frame of the traceback
            after = number + 1
    return " ".join(tail[after:]) or (tail[-1] if tail else "it said nothing")
