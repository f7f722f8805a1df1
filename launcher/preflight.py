"""What can be known before the first byte is written: whether system, room and path will do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launcher.errors import DiskFull, PathNotText, PathTooLong, SystemTooOld
from launcher.manifest import room
from launcher.paths import is_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from launcher.disk import Disk
    from launcher.home import Home
    from launcher.manifest import Entry, Manifest
    from launcher.platforms import Platform

# MAX_PATH of https://learn.microsoft.com/windows/win32/fileio/maximum-file-path-limitation, its NUL left out.
_WINDOWS_LIMIT = 259
_LONG_LIMIT = 32_766


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


def check_room(home: Home, entries: Sequence[Entry], disk: Disk) -> None:
    """Raise DiskFull unless the home's disk has room for `entries`.

    What stands in their place is not subtracted: a damaged file is removed only when its successor is at hand.
    """
    need, free = room(entries), disk.free(home.root)
    if free < need:
        raise DiskFull(home.root, free, need)
