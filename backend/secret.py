"""The secret that callers show: from the environment, or made here and left where only this user can read."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from backend.errors import DataDirNotWritable

if TYPE_CHECKING:
    from pathlib import Path

RANDOM_BYTES = 32


def make_token(path: Path) -> str:
    """Write a new token to `path`, readable by this user alone, and return it.

    Raises DataDirNotWritable.
    """
    token = os.urandom(RANDOM_BYTES).hex()
    try:
        # Made anew, never overwritten: an existing file could be readable by others, or be a link.
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(token)
    except OSError as error:
        raise DataDirNotWritable(path.parent, error.strerror or str(error)) from error
    return token
