"""Join a training that another machine's backend has: become the agent of this machine's workers."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import backend
from backend.engine import EngineWatch
from backend.errors import CannotJoin
from backend.workers import interpreter_flags

if TYPE_CHECKING:
    from backend.settings import Joining, Settings


def join(joining: Joining, settings: Settings) -> NoReturn:
    """Become the agent, which ends with the training. Raises CannotJoin."""
    if sys.platform != "linux":
        raise CannotJoin("several processes can train on Linux only", "Train on one machine, with one process.")
    if not EngineWatch(settings.home, Path(sys.prefix)).is_whole():
        raise CannotJoin("the rest of the engine is not there yet", "Run peft_engine --install, and join again.")
    model = [] if joining.model is None else ["--model", str(joining.model)]
    os.chdir(Path(backend.__file__).parents[1])  # -m looks there first, which is how a checkout's backend is found
    os.execv(  # noqa: S606 - this process becomes it
        sys.executable,
        [
            *(sys.executable, *interpreter_flags(), "-m", "backend.training.agent"),
            *("--join", joining.endpoint, "--rdzv-id", joining.id, "--node-rank", str(joining.node_rank)),
            *("--nproc-per-node", str(joining.processes)),
            *("--folder", str(settings.data_dir / "joined" / joining.id), *model),
        ],
    )
