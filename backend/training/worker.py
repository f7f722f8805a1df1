"""One training, in a process of its own: `python -m backend.training.worker FOLDER ADAPTER PARENT`.

Reads FOLDER/plan.json, trains, and moves the finished adapter to ADAPTER. It tells its progress as JSON lines on what
was stdout; whatever the libraries print goes to stderr, which the server keeps in a file. It ends with status 1 after
an error that it could explain, and after any other with a traceback in that file.

SIGTERM asks it to stop: it finishes the step at hand, saves a checkpoint and ends with status 0.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from backend.clock import now
from backend.errors import BackendError
from backend.training.events import Event, Failed, to_line
from backend.training.plan import TrainingPlan
from backend.training.train import train
from backend.working import begin

if TYPE_CHECKING:
    from types import FrameType


class StopRequest:
    """Whether somebody asked this process to stop."""

    def __init__(self) -> None:
        self._made = False
        signal.signal(signal.SIGTERM, self._make)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is the server's to pass on

    def made(self) -> bool:
        """Tell whether it was made."""
        return self._made

    def _make(self, _signal: int, _frame: FrameType | None) -> None:
        self._made = True


def main(arguments: list[str]) -> int:
    """Train as FOLDER/plan.json says; return the exit status."""
    folder, adapter, parent = Path(arguments[0]), Path(arguments[1]), int(arguments[2])
    stream = begin(parent)
    stop = StopRequest()

    def tell(event: Event) -> None:
        print(to_line(event), file=stream, flush=True)

    os.chdir(folder)  # what the libraries leave in their current folder belongs to the job
    plan = TrainingPlan.from_dict(json.loads(Path("plan.json").read_text(encoding="utf-8")))
    try:
        train(plan, folder, adapter, tell, stop.made)
    except BackendError as error:
        tell(Failed(time=now(), code=error.code, message=error.message, remedy=error.remedy))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
