"""Which checkpoints are whole. A process may be killed while it writes one, so each is marked when it is done."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = "checkpoints"
PREFIX = "checkpoint-"
MARK = "whole"
KEPT = 2  # while one is being written, another is whole


def mark(checkpoint: Path) -> None:
    """Say that a checkpoint is whole, once everything in it has reached the disk."""
    for path in checkpoint.rglob("*"):
        if path.is_file():
            with path.open("rb+") as file:
                os.fsync(file.fileno())
    (checkpoint / MARK).touch()


def last_whole(folder: Path) -> Path | None:
    """Return the checkpoint of the highest step that is whole, and remove those that are not."""
    found = {}
    for checkpoint in folder.glob(f"{PREFIX}*"):
        if (checkpoint / MARK).exists():
            found[step_of(checkpoint)] = checkpoint
        else:
            shutil.rmtree(checkpoint)
    return found[max(found)] if found else None


def step_of(checkpoint: Path) -> int:
    """Return the step after which a checkpoint was written."""
    return int(checkpoint.name.removeprefix(PREFIX))
