"""What every worker does: it ends with its parent, and keeps stdout for what it tells."""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING, TextIO

from backend import host
from backend.errors import BackendError
from backend.redaction import Output, hide, without_secrets
from backend.settings import TOKEN_VARIABLE
from backend.workers import HUB_TOKEN_VARIABLE, STOP

if TYPE_CHECKING:
    from collections.abc import Callable


class CannotWork(BackendError):
    """What was asked for cannot be done, for a reason that the request or this machine explains."""

    def __init__(self, code: str, message: str, remedy: str) -> None:
        super().__init__(message, remedy)
        self.code = code


def begin(parent: int) -> TextIO:
    """Bind this process's life to its parent's, a PID; return the stream to tell on.

    What anybody else prints goes to stderr, without secrets, since stderr is a file that people pass on.
    """
    host.die_with(parent)
    for variable in (TOKEN_VARIABLE, HUB_TOKEN_VARIABLE):
        if secret := os.environ.get(variable):
            hide(secret)
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr = Output(2)
    return stream


def when_asked_to_stop(stop: Callable[[], object]) -> None:
    """Have a thread call `stop` when stdin says so, and end this process when it ends: then the backend has.

    What this process starts finds nothing on its stdin.
    """
    mine, nothing = os.dup(0), os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)

    def listen() -> None:
        with os.fdopen(mine, "rb") as stdin:
            for line in stdin:
                if line == STOP:
                    stop()
        os._exit(1)

    threading.Thread(target=listen, name="stop", daemon=True).start()


def first_line(error: Exception) -> str:
    """Return what an error of a library says, without its essay, and without secrets."""
    return without_secrets(str(error).partition("\n")[0])
