"""A plain start: find the runtime fit to start, or make it so, and become the backend while the rest arrives."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NoReturn

from launcher.attempt import LIMIT, Attempt, read_attempt, withdraw_attempt, write_attempt
from launcher.disk import disk_errors
from launcher.errors import BackendNotStarted, BlockedBySystem, Busy, DiskFull, InstallDamaged
from launcher.events import Retrying
from launcher.locks import home_at_rest, share_slot
from launcher.plan import Core, Launch, Ready, name_of
from launcher.run import backend_command, become_backend, finish_behind
from launcher.survey import survey_quickly
from launcher.whole import furnish_home, make_startable, make_surely_whole, open_home, part_to_start

if TYPE_CHECKING:
    from launcher.cli import Request
    from launcher.host import Lock
    from launcher.whole import Scene


def start(scene: Scene, request: Request) -> NoReturn:
    """Become the backend, restoring the runtime's core first where it is not there, and the rest behind it.

    Raises BackendNotStarted where the last starts all ended early for no reason that can be mended here.
    """
    open_home(scene)
    count = _look_closer(scene)
    lock = _claim(scene, wait=False)
    if lock is None:
        make_startable(scene)
        lock = _claim(scene, wait=True)
    if lock is None:
        # Between the two somebody else repaired or removed it.
        state = survey_quickly(scene.home, scene.manifest)
        raise InstallDamaged(scene.slot, f"it was just made whole, and is {name_of(state)} again")
    try:
        with disk_errors(scene.home.root):
            write_attempt(scene.home, Attempt(scene.manifest.runtime, count + 1, os.getpid()), scene.disk)
    except DiskFull:
        # Whoever has to make room may need the app for it. Without the note the next start looks less closely.
        withdraw_attempt(scene.home, scene.disk)
    if isinstance(survey_quickly(scene.home, scene.manifest), Core):
        # Before the lock is made to stay: the one behind must not hold a slot that no backend runs from any more.
        _fetch_the_rest(scene)
    lock.keep_through_exec()
    become_backend(backend_command(scene, request), scene)


def _fetch_the_rest(scene: Scene) -> None:
    """Have the rest arrive behind the backend. The core can run without: who uses it is told why it does not come."""
    from launcher.progress import forget_progress, tell_problem

    with disk_errors(scene.home.root):
        forget_progress(scene.home, scene.disk)
    try:
        finish_behind(scene)
    except BlockedBySystem as error:
        tell_problem(scene.home, error, scene.disk)


def _claim(scene: Scene, *, wait: bool) -> Lock | None:
    """Return the slot's lock, shared until the backend ends, or None where no server can start from the slot.

    Whoever would change the slot needs the home's lock and then the slot's, alone. So what is found fit while the
    home is at rest stays so; and while somebody completes a core, with the home's lock alone, it does where the
    slot's lock is to be had.
    """
    with home_at_rest(scene.home, wait=wait) as kept:
        if kept:
            furnish_home(scene)
        if _fit(scene) and (lock := share_slot(scene.home, scene.manifest.slot_name)) is not None:
            if _fit(scene):
                return lock
            lock.release()
    return None


def _fit(scene: Scene) -> bool:
    return isinstance(survey_quickly(scene.home, scene.manifest), Ready | Core)


def _look_closer(scene: Scene) -> int:
    """Return how many starts in a row ended early with no damage to show for it, looking at all entries if any did."""
    attempt = read_attempt(scene.home, scene.manifest)
    if attempt is None:
        return 0
    try:
        _, plan = make_surely_whole(scene, part_to_start(scene), Retrying(attempt.count, attempt.pid))
    except Busy:
        # That start, or another one, runs from this slot: nothing has ended, and nothing may be touched.
        return 0
    if not isinstance(plan, Launch):
        return 0
    if attempt.count >= LIMIT:
        with disk_errors(scene.home.root):
            withdraw_attempt(scene.home, scene.disk)
        raise BackendNotStarted(scene.home.logs, attempt.count)
    return attempt.count
