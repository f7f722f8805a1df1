"""Who may touch what, by kernel locks, which a dead holder frees.

The home's lock is held alone by whoever changes the home, and shared, for a moment, by a start that looks at it.
A slot's lock is shared by every backend that runs from the slot, through exec until it ends, and held alone by
whoever changes the slot. Nobody takes a slot's lock without the home's: so a slot that cannot be had alone has a
backend, never just somebody who looks.
"""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING

from launcher.disk import disk_errors
from launcher.errors import Busy, HomeNotWritable, HomeWithoutLocks
from launcher.events import Waiting
from launcher.host import Lock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from launcher.home import Home
    from launcher.report import Report

# Network file systems without a lock service, and those that know no locks at all.
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}


@contextmanager
def home_to_ourselves(home: Home, report: Report) -> Iterator[Lock]:
    """Hold the home's lock alone; say so where that means waiting for another launcher."""
    with _open(home, home.lock) as lock:
        with _lock_errors(home):
            if not lock.take(shared=False, wait=False):
                report.say(Waiting(lock.holder()))
                lock.take(shared=False, wait=True)
            lock.sign()
        yield lock


@contextmanager
def slot_to_ourselves(home: Home, slot_name: str) -> Iterator[None]:
    """Hold a slot's lock alone, under the home's; raise Busy while a backend runs from it."""
    with _open(home, home.slot_lock(slot_name)) as lock:
        with _lock_errors(home):
            free = lock.take(shared=False, wait=False)
        if not free:
            raise Busy(home.slot(slot_name), lock.holder())
        yield


@contextmanager
def home_at_rest(home: Home, *, wait: bool) -> Iterator[None]:
    """Keep others from changing the home for a moment; without `wait`, only where nobody is at it already."""
    with _open(home, home.lock) as lock:
        with _lock_errors(home):
            lock.take(shared=True, wait=wait)
        yield


def backend_of(home: Home, slot_name: str) -> int | None:
    """Return the PID of a backend that runs from a slot, None where none does, as far as can be told by a glance."""
    if not home.slot_lock(slot_name).exists():
        return None
    try:
        with _open(home, home.lock) as rest:
            # Whoever completes a core has the home's lock and leaves the slot's; others who change a home want both.
            if rest.take(shared=True, wait=False) or home.progress.exists():
                with slot_to_ourselves(home, slot_name):
                    return None
    except Busy as error:
        return error.pid
    except (HomeNotWritable, HomeWithoutLocks):
        return None
    return None


def share_slot(home: Home, slot_name: str) -> Lock | None:
    """Return a slot's lock, signed and shared with other backends, or None where somebody has it alone."""
    with _lock_errors(home):
        lock = Lock(home.slot_lock(slot_name))
        if not lock.take(shared=True, wait=False):
            lock.release()
            return None
        lock.sign()
        return lock


@contextmanager
def _open(home: Home, path: Path) -> Iterator[Lock]:
    with _lock_errors(home):
        lock = Lock(path)
    try:
        yield lock
    finally:
        lock.release()


@contextmanager
def _lock_errors(home: Home) -> Iterator[None]:
    with disk_errors(home.root):
        try:
            yield
        except OSError as error:
            if error.errno in _NO_LOCKS:
                raise HomeWithoutLocks(home.root, error.strerror or str(error)) from error
            raise
