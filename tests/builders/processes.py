"""Processes that come and go while a test looks at them: one may end between any two looks."""

from __future__ import annotations

from contextlib import suppress

import psutil


def is_gone(process: psutil.Process | int) -> bool:
    """Tell whether a process, or what has this PID, has ended; its parent need not have noticed."""
    with suppress(psutil.NoSuchProcess):
        found = psutil.Process(process) if isinstance(process, int) else process
        return not found.is_running() or found.status() == psutil.STATUS_ZOMBIE
    return True
