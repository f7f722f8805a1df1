"""Copy what a home has once only to another disk, and compare every byte, before anybody looks for it there."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from launcher.errors import DiskFull, PlaceUnusable
from launcher.resources import file_digest
from launcher.room import room_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from launcher.disk import Disk
    from launcher.home import Home
    from launcher.report import Report

PROOF = ".proof"
_NOT_NEEDED = getattr(os, "POSIX_FADV_DONTNEED", 0)


def carried(home: Home) -> tuple[Path, ...]:
    """Return what of a home exists once only."""
    return home.user_files, home.plugins, home.logs


def check_links_and_modes(home: Home, disk: Disk) -> None:
    """Raise PlaceUnusable where the file system keeps no links or no modes, which every runtime has."""
    proof = home.root / PROOF
    try:
        kept = []
        for mode in (0o755, 0o644):
            disk.create(proof, b"", mode)
            kept.append(stat.S_IMODE(proof.lstat().st_mode) == mode)
        disk.link(proof, "anywhere")
    except OSError as error:
        if error.errno not in {errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}:
            raise
        kept = [False]
    if proof.exists() or proof.is_symlink():
        disk.remove(proof)
    if not all(kept):
        disk.remove(home.arriving)
        reason = "its file system keeps no links or no modes of files, as FAT does"
        raise PlaceUnusable(home.root, reason, "a folder on a disk with a file system of this computer's own")


def copy_home(origin: Home, home: Home, disk: Disk, report: Report, runtime: int) -> None:
    """Copy what exists once only, and compare every byte; `runtime` is the room that will be needed besides.

    Files that an earlier move has brought are left where they are the same.
    """
    files, folders = _list(origin)
    outstanding = [name for name in files if not _same_size(origin.root / name, home.root / name)]
    need = runtime + sum(room_of((origin.root / name).lstat().st_size) for name in outstanding)
    if (free := disk.free(home.root)) < need:
        raise DiskFull(home.root, free, need)
    there = _list(home)
    for name in sorted({*there[0], *there[1]} - {*files, *folders}, reverse=True):
        disk.remove(home.root / name)
    for name in folders:
        folder = home.root / name
        if folder.is_symlink() or folder.is_file():
            disk.remove(folder)
        disk.make_folders(folder)
    _each(origin, outstanding, report.step("restore", "bytes"), lambda one: _copy_one(origin, home, one, disk))
    _each(origin, files, report.step("verify", "bytes"), lambda one: _compare(origin, home, one, disk))
    for name in reversed(folders):
        disk.flush_folder(home.root / name)
        disk.copy_mode(origin.root / name, home.root / name)
    disk.flush(home.arriving)  # and with it all that the disk was given before


def _list(home: Home) -> tuple[list[str], list[str]]:
    """Return the files and links, and the folders, of what is carried, as paths from the home; no link is followed.

    Pipes and sockets hold nothing that could be carried.
    """
    files, folders = [], []
    waiting = [path for path in carried(home) if path.is_symlink() or path.exists()]
    while waiting:
        path = waiting.pop()
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode):
            folders.append(path.relative_to(home.root).as_posix())
            waiting += path.iterdir()
        elif stat.S_ISREG(mode) or stat.S_ISLNK(mode):
            files.append(path.relative_to(home.root).as_posix())
    return sorted(files), sorted(folders)


def _same_size(source: Path, copy: Path) -> bool:
    try:
        old, new = source.lstat(), copy.lstat()
    except FileNotFoundError:
        return False
    return stat.S_IFMT(old.st_mode) == stat.S_IFMT(new.st_mode) and old.st_size == new.st_size


def _each(
    origin: Home, names: Sequence[str], progress: Callable[[int, int], None], work: Callable[[str], None]
) -> None:
    sizes = [(origin.root / name).lstat().st_size for name in names]
    done, total = 0, sum(sizes)
    progress(done, total)
    for name, size in zip(names, sizes, strict=True):
        work(name)
        done += size
        progress(done, total)


def _copy_one(origin: Home, home: Home, name: str, disk: Disk) -> None:
    disk.copy(origin.root / name, home.root / name)


def _compare(origin: Home, home: Home, name: str, disk: Disk) -> None:
    """Copy a file once more where it differs, as one that a cut move left may; raise OSError where that is in vain."""
    if _differ(origin.root / name, home.root / name):
        _copy_one(origin, home, name, disk)
        if _differ(origin.root / name, home.root / name):
            raise OSError(errno.EIO, "what was copied there reads back as something else", home.root / name)


def _differ(source: Path, copy: Path) -> bool:
    old, new = source.lstat(), copy.lstat()
    if stat.S_ISLNK(old.st_mode):
        return source.readlink() != copy.readlink()
    if old.st_mode != new.st_mode:
        return True
    with copy.open("rb") as stream:
        if (advise := getattr(os, "posix_fadvise", None)) is not None:
            # Out of memory with it: what is compared comes from the disk.
            advise(stream.fileno(), 0, 0, _NOT_NEEDED)
    return file_digest(source) != file_digest(copy)
