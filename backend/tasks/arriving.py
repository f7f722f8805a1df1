"""A folder that a task writes: it is there whole, or not at all."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def arriving(target: Path) -> Iterator[Path]:
    """Give a folder to write to, which becomes `target` in the end; if anything goes wrong, nothing of it is left.

    Its name says whose it is: what a process left that was killed is no work any more (debris.py).
    """
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of an earlier process that had this one's id
    partial.mkdir(parents=True)
    try:
        yield partial
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)  # gone by now, if all went well
