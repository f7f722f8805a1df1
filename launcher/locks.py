"""Who may touch what, by kernel locks, which a dead holder frees.

The home's lock is held alone by whoever changes the home, and shared, for a moment, by a start that looks at it.
A slot's lock is shared by every backend that runs from the slot, through exec until it ends, and held alone by
whoever changes the slot. It is asked for at the door, which lets one in at a time: so a slot that cannot be had has
a backend or is being changed, and never just somebody who looks whether it can be had.
"""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING

from launcher.disk import disk_errors
from launcher.errors import Busy, HomeNotWritable, HomeWithoutLocks
from launcher.events import Waiting
from launcher.home import has_moved
from launcher.host import Lock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from launcher.home import Home
    from launcher.report import Report

# Network file systems without a lock service, and those that know no locks at all.
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}


class HomeLeft(Exception):
    """The home was moved to another folder, or removed, since it was found: it has to be looked for once more."""


@contextmanager
def home_to_ourselves(home: Home, report: Report) -> Iterator[Lock]:
    """Hold the home's lock alone; say so where that means waiting for another launcher. Raises HomeLeft."""
    require_home(home)  # before a file to lock is made there
    with lock_of_home(home, report) as lock:
        require_home(home, lock)
        yield lock


@contextmanager
def lock_of_home(home: Home, report: Report) -> Iterator[Lock]:
    """Hold the lock of a home alone, also of one that comes or goes; say so where that means waiting."""
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
        with _at_the_door(home):
            free = lock.take(shared=False, wait=False)
        if not free:
            raise Busy(home.slot(slot_name), lock.holder())
        yield


@contextmanager
def home_at_rest(home: Home, *, wait: bool) -> Iterator[bool]:
    """Keep others from changing the home for a moment; without `wait`, only where nobody is at it already.

    Gives whether they are kept. Raises HomeLeft.
    """
    with _open(home, home.lock) as lock:
        with _lock_errors(home):
            kept = lock.take(shared=True, wait=wait)
        require_home(home, lock)
        yield kept


def require_home(home: Home, lock: Lock | None = None) -> None:
    """Raise HomeLeft unless the home is still where it was found, and the `lock` that is held still its lock."""
    if has_moved(home) or (lock is not None and not lock.is_at(home.lock)):
        raise HomeLeft


def backend_of(home: Home, slot_name: str) -> int | None:
    """Return the PID of a backend that runs from a slot, None where none does, as far as can be told by a glance."""
    try:
        with disk_errors(home.root):
            if not home.slot_lock(slot_name).exists():
                return None
        with _at_the_door(home):
            with _open(home, home.slot_lock(slot_name)) as lock:
                if not lock.take(shared=True, wait=False):
                    return None  # nobody runs from what is being changed
            with _open(home, home.slot_lock(slot_name)) as lock:
                return None if lock.take(shared=False, wait=False) else lock.holder()
    except (HomeNotWritable, HomeWithoutLocks):
        return None


def share_slot(home: Home, slot_name: str) -> Lock | None:
    """Return a slot's lock, signed and shared with other backends, or None where somebody has it alone."""
    with _lock_errors(home):
        lock = Lock(home.slot_lock(slot_name))
    with _at_the_door(home):
        if not lock.take(shared=True, wait=False):
            lock.release()
            return None
        lock.sign()
        return lock


@contextmanager
def _at_the_door(home: Home) -> Iterator[None]:
    """Be the only one who asks for a slot's lock, which nobody does for longer than a moment."""
    with _open(home, home.door) as door, _lock_errors(home):
        door.take(shared=False, wait=True)
        yield


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
