"""How far the rest of a runtime has arrived behind its core, for the backend to show; or why it does not come."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from launcher.disk import Disk
    from launcher.errors import LauncherError
    from launcher.home import Home


def tell_progress(home: Home, done: int, total: int, disk: Disk) -> None:
    """Leave how many bytes of the rest are there."""
    disk.note(home.progress, json.dumps({"done": done, "total": total, "unit": "bytes"}).encode())


def tell_problem(home: Home, error: LauncherError, disk: Disk) -> None:
    """Leave why the rest does not come, beside how far it came, as far as the disk takes it.

    Nobody reads what the launcher behind a backend says.
    """
    try:
        told = json.loads(home.progress.read_bytes())
    except (OSError, ValueError):
        told = {"done": 0, "total": 0, "unit": "bytes"}
    problem = {"code": error.code, "message": error.message, "remedy": error.remedy}
    with suppress(OSError):
        disk.note(home.progress, json.dumps(told | {"problem": problem}).encode())


def forget_progress(home: Home, disk: Disk) -> None:
    """Remove what was told."""
    with suppress(FileNotFoundError):
        disk.remove(home.progress)
