"""Move the home to another folder: carry everything, then change the one note that says where it is, then clear up.

Until the note is changed the old home is the home, and nothing in it is touched; from then on the new one is, and
whoever comes next finishes what was cut off. On one disk everything is renamed once the note is changed. To another
disk the user's work and the logs are copied and compared first; runtimes are not, since the archive restores them
sooner than a copy is made, and for their new place (docs/decisions/0012).
"""

from __future__ import annotations

import errno
import os
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from launcher.carry import PROOF, carried, check_links_and_modes, copy_home
from launcher.disk import disk_errors
from launcher.errors import PathNotText, PlaceUnusable
from launcher.events import Result
from launcher.home import Arrival, Home
from launcher.host import long_paths
from launcher.locks import lock_of_home, require_home, slot_to_ourselves
from launcher.paths import is_text
from launcher.preflight import check_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from launcher.disk import Disk
    from launcher.host import Lock
    from launcher.manifest import Manifest
    from launcher.platforms import Platform
    from launcher.report import Report

_DEPARTING = "departing.json"


def move_home(
    way: Sequence[Home], folder: Path, disk: Disk, platform: Platform, report: Report, manifest: Manifest | None
) -> None:
    """Move the home that `way` leads to into `folder`, and let the last note on that way name it.

    Raises PlaceUnusable, PathTooLong, PathNotText or DiskFull where the folder will not do, Busy while a backend runs,
    HomeNotWritable where the system refuses, or where what was copied reads back as something else: the home is then
    where it was.
    """
    origin, home = way[-1], Home(folder.absolute())
    with disk_errors(home.root):
        _check_place(origin, home)
        if not is_text(str(home.root)):
            raise PathNotText(home.root)
        if manifest is not None:
            check_path(home.slot(manifest.slot_name), manifest, platform, long_paths=long_paths())
        disk.make_folders(origin.root)
        disk.make_folders(home.root)
    with _locks_of_homes(origin, home, report) as lock, disk_errors(home.root):
        require_home(origin, lock)
        with _slots_to_ourselves(origin, disk):
            arrival = _announce(origin, home, (way[-2] if len(way) > 1 else origin).location, disk)
            if arrival.copied:
                if not platform.is_windows:
                    check_links_and_modes(home, disk)
                copy_home(origin, home, disk, report, 0 if manifest is None else manifest.disk)
            disk.record(arrival.note, f"{home.root}\n".encode())
            _clear(arrival, home, disk, report)
        _forget(origin, disk)


def finish_move(home: Home, disk: Disk, report: Report) -> None:
    """Finish a move to `home` that was cut off after it had become the home; raise Busy, HomeNotWritable."""
    arrival = Arrival.read(home)
    if arrival is None:
        return
    with _locks_of_homes(arrival.origin, home, report), disk_errors(home.root):
        # Two starts at once both come here: the second has waited for the first.
        if Arrival.read(home) is not None:
            with _slots_to_ourselves(arrival.origin, disk):
                _clear(arrival, home, disk, report)
            _forget(arrival.origin, disk)


def _check_place(origin: Home, home: Home) -> None:
    """Raise PlaceUnusable unless the folder is free for a home: empty, or what a move from `origin` has left."""
    old, new = origin.root.resolve(), home.root.resolve()
    instead = "an empty folder, or one that is not there yet, outside of the present home"
    if old == new:
        raise PlaceUnusable(home.root, "it is the home already", instead)
    if new.is_relative_to(old) or old.is_relative_to(new):
        raise PlaceUnusable(home.root, f"it and the present home, {origin.root}, lie in each other", instead)
    if not home.root.exists():
        return
    if not home.root.is_dir():
        raise PlaceUnusable(home.root, "it is no folder", instead)
    if (arrival := Arrival.read(home)) is not None:
        if arrival.origin != origin:
            raise PlaceUnusable(home.root, f"another home is on its way there, from {arrival.origin.root}", instead)
        return
    # A home that moved away leaves its note and its lock; a move that was cut off may leave what it began to write.
    ours = {home.location.name, home.lock.name, PROOF, f"{home.arriving.name}.new", f"{home.location.name}.new"}
    found = sorted({path.name for path in home.root.iterdir()} - ours)
    if found:
        free = f"an empty folder, or one that is not there yet, such as {home.root / 'peft-studio'}"
        raise PlaceUnusable(home.root, f"it is not empty, it holds {', '.join(found[:3])}", free)


@contextmanager
def _locks_of_homes(origin: Home, home: Home, report: Report) -> Iterator[Lock | None]:
    """Hold the locks of both homes alone, and give the old one's: None where its folder is gone already."""
    with ExitStack() as held:
        lock = held.enter_context(lock_of_home(origin, report)) if origin.root.is_dir() else None
        held.enter_context(lock_of_home(home, report))
        yield lock


@contextmanager
def _slots_to_ourselves(origin: Home, disk: Disk) -> Iterator[None]:
    """Hold the lock of every slot of the old home alone; raise Busy while a backend runs there."""
    with ExitStack() as held:
        for slot in origin.slots():
            with disk_errors(origin.root):
                disk.make_folders(origin.receipts)
            held.enter_context(slot_to_ourselves(origin, slot.name))
        yield


def _announce(origin: Home, home: Home, note: Path, disk: Disk) -> Arrival:
    """Leave the note of a home that is on its way, which shows whether everything can be renamed as the note can."""
    arrival = Arrival(origin, note, copied=False)
    if not any(os.path.ismount(path) for path in (*carried(origin), *_made_anew(origin))):
        departing = origin.root / _DEPARTING
        disk.create(departing, arrival.to_bytes(), 0o644)
        disk.flush(departing)
        try:
            disk.replace(departing, home.arriving)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            disk.remove(departing)
        else:
            disk.flush_folder(home.root)
            return arrival
    arrival = Arrival(origin, note, copied=True)
    disk.record(home.arriving, arrival.to_bytes())
    return arrival


def _made_anew(home: Home) -> tuple[Path, ...]:
    """Return what of a home the archive holds, or the next start writes; receipts lie beside locks that are held."""
    return home.runtimes, home.attempt, home.progress, home.root / _DEPARTING


def _clear(arrival: Arrival, home: Home, disk: Disk, report: Report) -> None:
    """Rename what was not copied, remove the rest of the old home and the notes of the move; answer."""
    origin, left = arrival.origin, []
    if not arrival.copied:
        disk.make_folders(home.receipts)
        receipts = [path for path in origin.receipts.glob("*.json") if path.is_file()]
        moves = [(old, home.root / old.name) for old in (*carried(origin), origin.runtimes)]
        for old, new in (*((path, home.receipts / path.name) for path in receipts), *moves):
            if old.exists() or old.is_symlink():
                disk.replace(old, new)
        disk.flush_folder(home.receipts)
    rest = [path for path in (*carried(origin), *_made_anew(origin)) if path.exists() or path.is_symlink()]
    progress = report.step("remove", "entries")
    for number, path in enumerate(rest):
        progress(number, len(rest))
        try:
            disk.remove(path)
        except OSError:
            # All of it is in the new home: no reason not to start there. The answer names it.
            left.append(str(path))
    progress(len(rest), len(rest))
    if arrival.note != home.location and home.location.exists():
        disk.remove(home.location)
    disk.flush_folder(home.root)
    disk.remove(home.arriving)
    if arrival.note == home.location:
        disk.remove(home.location)
    report.log = home.log if home.logs.is_dir() else None
    answer = {"from": str(origin.root), "home": str(home.root), "copied": arrival.copied, "left": left}
    report.say(Result("move-home", answer))


def _forget(origin: Home, disk: Disk) -> None:
    """Remove the locks of the old home, under its own, and its folder where nothing else is in it.

    What cannot be removed holds nothing: Windows, for one, removes no file that is open.
    """
    for path in (origin.receipts, origin.lock):
        with suppress(OSError):
            disk.remove(path)
    with suppress(OSError):
        origin.root.rmdir()
