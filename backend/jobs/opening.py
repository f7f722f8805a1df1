"""Open the jobs of a data folder: lock it, open its database, and take up what an earlier backend left."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING

from backend import host
from backend.clock import now
from backend.jobs.errors import JobsElsewhere
from backend.jobs.run import saved_adapter
from backend.states import State

if TYPE_CHECKING:
    from pathlib import Path

    from backend.folders import Folders
    from backend.jobs.store import Store

UNFINISHED = (".*.partial", "*.partial", ".*.leaving")  # the second is how earlier versions named what they saved


def open_jobs(folders: Folders, *, resume: bool) -> tuple[Store, IO[bytes]]:
    """Return the store and the lock, which is this process's until it is closed; `resume` queues what was interrupted.

    Raises JobsUnavailable.
    """
    from backend.jobs.store import Store

    with ExitStack() as undo:  # whatever goes wrong, the next who asks finds the folder unlocked
        locked = host.lock(folders.jobs_lock)
        if locked is None:
            raise JobsElsewhere(folders.root)
        undo.callback(locked.close)
        store = Store(folders.store)
        undo.callback(store.close)
        _take_up(store, folders, resume=resume)
        _sweep(folders.adapters)
        undo.pop_all()
    return store, locked


def _take_up(store: Store, folders: Folders, *, resume: bool) -> None:
    for job in store.jobs(State.RUNNING):  # its worker died with the backend that the lock was freed by
        adapter = saved_adapter(folders, job.id)
        state = State.COMPLETED if adapter else State.INTERRUPTED
        store.change(job.id, state, ended_at=now(), adapter_path=adapter)
    if resume:
        for job in store.jobs(State.INTERRUPTED):
            store.change(job.id, State.QUEUED, ended_at=None, error=None)


def _sweep(adapters: Path) -> None:
    """Remove adapters that were being saved or removed when an earlier backend was killed: no worker lives now."""
    for pattern in UNFINISHED:
        for left in adapters.glob(pattern):
            shutil.rmtree(left, ignore_errors=True)  # what stays is not listed, and takes room only
