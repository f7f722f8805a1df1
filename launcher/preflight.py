"""What can be known before the first byte is written: whether system, room and path will do."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from launcher.errors import DiskFull, PathNotText, PathTooLong, SystemTooOld
from launcher.manifest import Kind
from launcher.paths import is_text
from launcher.survey import measure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from launcher.disk import Disk
    from launcher.home import Home
    from launcher.manifest import Entry, Manifest
    from launcher.platforms import Platform

# MAX_PATH of https://learn.microsoft.com/windows/win32/fileio/maximum-file-path-limitation, its NUL left out.
_WINDOWS_LIMIT = 259
_LONG_LIMIT = 32_766
_NOTES = 64 * 1024  # bytes of journal, receipt and progress, with the new of each beside the old, and of the log


def check_system(manifest: Manifest, versions: Mapping[str, str], path: Path) -> None:
    """Raise SystemTooOld where the system's `versions` are below the manifest's floor; `path` is the manifest's.

    The CUDA driver is no matter of this: without one the CPU still works.
    """
    needs = {"glibc": manifest.floor.glibc, "macOS": manifest.floor.macos}
    for what, need in needs.items():
        found = versions.get(what)
        if need is not None and (found is None or numbers(found) < numbers(need)):
            raise SystemTooOld(path, what, need, found)


def numbers(version: str) -> tuple[int, ...]:
    """Return a version's numbers, to compare it by."""
    return tuple(int(number) for number in version.split("."))


def check_path(slot: Path, manifest: Manifest, platform: Platform, *, long_paths: bool) -> None:
    """Raise PathNotText where no text can hold the slot's path.

    Raise PathTooLong where it does not fit a binary's placeholder, or Windows' limit, unless the machine's setting
    allows `long_paths`.
    """
    if not is_text(str(slot)):
        raise PathNotText(slot)
    if platform.is_windows:
        length, limit = len(str(slot)), (_LONG_LIMIT if long_paths else _WINDOWS_LIMIT) - 1 - manifest.longest_path
    elif manifest.placeholder is not None:
        length, limit = len(str(slot).encode()), manifest.placeholder
    else:
        return
    if length > limit:
        raise PathTooLong(slot, length, limit)


def check_room(home: Home, slot: Path, entries: Sequence[Entry], disk: Disk) -> None:
    """Raise DiskFull unless the home's disk has room to write `entries` to `slot`, relocate them and record it.

    A file in an entry's place is removed right before the entry is written, so it makes room for that, and for no
    other, which may come sooner.
    """
    from launcher.room import BLOCK, room, room_of

    free = disk.free(home.root)
    # Most disks give a folder a block, and what conda-unpack writes a longer path into may grow by one.
    folders = {entry.path if entry.kind is Kind.FOLDER else entry.path.rpartition("/")[0] for entry in entries}
    grown = sum(entry.relocated for entry in entries)
    need = room(entries) + (len(folders) + grown) * BLOCK + _NOTES
    if free < need:  # else a look at what is there, at tens of thousands of files, tells nothing
        need -= BLOCK * sum(Path(slot, folder).is_dir() for folder in folders)
        need -= sum(min(room_of(entry.size), _held(f"{slot}/{entry.path}")) for entry in entries)
    if free < need:
        others = sum(measure(other) for other in home.slots() if other != slot)
        raise DiskFull(home.root, free, need, others=others)


def _held(path: str) -> int:
    """Return the bytes that removing a file gives back, as far as it tells: what has other names stays."""
    from launcher.room import room_of

    try:
        found = os.lstat(path)
    except OSError:
        return 0
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        return 0
    # Fewer than its size where it has holes; Windows does not count them.
    blocks = getattr(found, "st_blocks", None)
    return room_of(found.st_size if blocks is None else min(found.st_size, blocks * 512))
