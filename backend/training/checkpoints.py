"""Which checkpoints are whole. A process may be killed while it writes one, so each is marked when it is done."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from backend.documents import flush
from backend.training.world import ALONE

if TYPE_CHECKING:
    from pathlib import Path

    from backend.training.world import World

FOLDER = "checkpoints"
PREFIX = "checkpoint-"
MARK = "whole"
KEPT = 2  # while one is being written, another is whole


def mark(checkpoint: Path) -> None:
    """Say that a checkpoint is whole, once everything in it has reached the disk."""
    flush(checkpoint)
    (checkpoint / MARK).touch()


def last_whole(folder: Path, world: World = ALONE) -> Path | None:
    """Return the last checkpoint that is whole on every machine, and remove what no training can go on from."""
    own = _whole_steps(folder) if world.local_rank == 0 else None
    common = set.intersection(*(steps for steps in world.gather(own) if steps is not None))
    last = max(common, default=0)
    if own is not None:
        for step in own:
            if step > last:  # another machine was killed before it had this one
                shutil.rmtree(folder / f"{PREFIX}{step}")
    return folder / f"{PREFIX}{last}" if last else None


def step_of(checkpoint: Path) -> int:
    """Return the step after which a checkpoint was written."""
    return int(checkpoint.name.removeprefix(PREFIX))


def _whole_steps(folder: Path) -> set[int]:
    """Return the steps of the checkpoints that are whole, and remove those that are torn."""
    steps = set()
    for checkpoint in folder.glob(f"{PREFIX}*"):
        if (checkpoint / MARK).exists():
            steps.add(step_of(checkpoint))
        else:
            shutil.rmtree(checkpoint)
    return steps
