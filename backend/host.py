"""The machine: what POSIX, Linux and Windows each do their own way."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

PR_SET_PDEATHSIG = 1


def own_group() -> dict[str, Any]:
    """Return the arguments of subprocess that put a child in a group of its own.

    A Ctrl-C at the terminal then reaches the backend alone, which asks its children to stop.
    """
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    else:  # noqa: RET505 - a type checker leaves out the other platform's branch only if it is one
        return {"start_new_session": True}


def die_with(parent: int) -> None:
    """Have the kernel end this process when `parent`, a PID, ends; end it now if that has happened already.

    Linux only has this. Elsewhere a child notices by the end of its stdin, or at its next event, which no one is
    left to read; on Windows the launcher's job object ends it sooner.
    """
    if sys.platform == "linux":
        import ctypes

        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:  # it went before the kernel knew
        raise SystemExit(f"the backend (PID {parent}) has ended")


def kill_group(leader: int) -> None:
    """Kill what is left of the group that a child made by `own_group`, a PID, led; nothing may be."""
    if sys.platform == "win32":
        # There are no groups to kill: children of a worker belong to the launcher's job object.
        with contextlib.suppress(OSError):
            os.kill(leader, signal.SIGTERM)
    else:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(leader, signal.SIGKILL)


def was_killed(status: int) -> bool:
    """Tell from an exit status whether the system, not the program, ended a process."""
    return sys.platform != "win32" and status == -signal.SIGKILL


def lock(path: Path) -> IO[bytes] | None:
    """Return `path` opened and locked for this process, or None if another holds it.

    The kernel frees the lock when the file is closed or its process ends, however it ends.
    """
    file = path.open("a+b")
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file
