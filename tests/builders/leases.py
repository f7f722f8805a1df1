"""A file at which whoever opens it is held up, so that a test does something to it at that very moment."""

from __future__ import annotations

import fcntl
import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def held_up(path: Path) -> Iterator[list[int]]:
    """Let whoever opens a file wait until this ends, and note that somebody does: by a lease of Linux (fcntl(2))."""
    came: list[int] = []
    before = signal.signal(signal.SIGIO, lambda number, _: came.append(number))
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        yield came
    finally:
        os.close(descriptor)
        signal.signal(signal.SIGIO, before)
