"""What every worker does: it ends with its parent, and keeps stdout for what it tells."""

from __future__ import annotations

import os
from typing import TextIO

from backend import host
from backend.errors import BackendError


class CannotWork(BackendError):
    """What was asked for cannot be done, for a reason that the request or this machine explains."""

    def __init__(self, code: str, message: str, remedy: str) -> None:
        super().__init__(message, remedy)
        self.code = code


def begin(parent: int) -> TextIO:
    """Bind this process's life to its parent's, a PID; return the stream to tell on.

    What anybody else prints goes to stderr.
    """
    host.die_with(parent)
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    return stream


def first_line(error: Exception) -> str:
    """Return what an error of a library says, without its essay."""
    return str(error).partition("\n")[0]
