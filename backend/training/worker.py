"""One training, in a process of its own: `python -m backend.training.worker FOLDER ADAPTER PARENT [MODEL]`.

Reads FOLDER/plan.json, trains, and moves the finished adapter to ADAPTER. Of several that an agent started the first
does so for all; MODEL is where this machine has the model, if elsewhere than the first. It tells its progress as JSON
lines on what was stdout; whatever the libraries print goes to stderr, which the server keeps in a file. It ends with
status 1 after an error that it could explain, and after any other with a traceback in that file.

A line "stop" on stdin asks it to stop: it finishes the step at hand, saves a checkpoint and ends with status 0. SIGTERM
asks the same; it is how an agent, which alone has a stdin, passes it on. When stdin ends, so does the worker.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.clock import now
from backend.errors import BackendError
from backend.training.events import Event, Failed, to_line
from backend.training.plan import TrainingPlan
from backend.training.process import LOG_NAME
from backend.training.train import train
from backend.training.world import enter_world
from backend.working import begin, first_line, when_asked_to_stop

if TYPE_CHECKING:
    from types import FrameType


class StopRequest:
    """Whether somebody asked this process to stop."""

    def __init__(self) -> None:
        self._made = False
        if not _has_agent():
            when_asked_to_stop(self._make)
        signal.signal(signal.SIGTERM, self._make)
        if sys.platform != "win32":
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})  # as the agent of several leaves it
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is the server's to pass on

    def made(self) -> bool:
        """Tell whether it was made."""
        return self._made

    def _make(self, _signal: int = 0, _frame: FrameType | None = None) -> None:
        self._made = True


def main(arguments: list[str]) -> int:
    """Train as FOLDER/plan.json says; return the exit status."""
    folder, adapter, parent, *model = arguments
    stream = begin(int(parent))
    stop = StopRequest()
    os.chdir(folder)  # what the libraries leave in their current folder belongs to the job
    if not _has_agent():  # a process alone works on one GPU, the first that it may see
        os.environ["CUDA_VISIBLE_DEVICES"] = os.environ.get("CUDA_VISIBLE_DEVICES", "0").partition(",")[0]
    world = enter_world()

    def tell(event: Event) -> None:
        if world.leads or isinstance(event, Failed):
            print(to_line(event), file=stream, flush=True)

    try:
        plan = TrainingPlan.from_dict(world.share(_read_plan() if world.leads else None))
        train(replace(plan, model=model[0]) if model else plan, Path(folder), Path(adapter), tell, stop.made, world)
    except BackendError as error:
        tell(Failed(time=now(), code=error.code, message=error.message, remedy=error.remedy))
        return 1
    except Exception as error:
        if world.size > 1:  # the traceback that the log ends with may be that of another, which lost this one
            message = f"Process {world.rank} of {world.size} failed: {type(error).__name__}: {first_line(error)}"
            tell(Failed(time=now(), code="training-failed", message=message, remedy=f"Look at {folder}/{LOG_NAME}."))
        raise
    return 0


def _has_agent() -> bool:
    return "LOCAL_RANK" in os.environ


def _read_plan() -> dict[str, Any]:
    plan: dict[str, Any] = json.loads(Path("plan.json").read_text(encoding="utf-8"))
    return plan


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
