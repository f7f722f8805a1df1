"""Disks that fail as a test asks: cut off, losing what was not flushed, full, or closed to us, at any one change."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from pathlib import Path
from shutil import disk_usage
from typing import TYPE_CHECKING

from launcher.disk import Disk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from launcher.disk import AnyPath


class PlugPulledError(BaseException):
    """Nothing after this moment happened: no handler may take it for an error that it knows."""


class FailingDisk(Disk):
    """A disk that ends at change number `last`; with `halves`, half of a file's bytes still get there."""

    def __init__(self, last: int, *, halves: bool) -> None:
        self._left = last
        self._halves = halves

    def _count(self) -> bool:
        """Return whether this is the last change; raise after it."""
        self._left -= 1
        if self._left < 0:
            raise PlugPulledError
        return self._left == 0

    def _written(self, write: Callable[[bytes | memoryview], object], content: bytes | memoryview) -> None:
        if self._count() and self._halves:
            write(content[: len(content) // 2])
            raise PlugPulledError
        write(content)

    def create(self, path: AnyPath, content: bytes | memoryview, mode: int) -> None:
        self._written(lambda part: Disk.create(self, path, part, mode), content)

    def note(self, path: Path, content: bytes) -> None:
        self._written(lambda part: Disk.note(self, path, bytes(part)), content)

    def write_at(self, path: AnyPath, content: bytes | memoryview, offset: int) -> None:
        self._written(lambda part: Disk.write_at(self, path, part, offset), content)

    def append(self, path: Path, content: bytes) -> None:
        self._written(lambda part: Disk.append(self, path, bytes(part)), content)

    def remove(self, path: AnyPath) -> None:
        self._count()
        super().remove(path)

    def make_folder(self, path: AnyPath) -> None:
        self._count()
        super().make_folder(path)

    def make_folders(self, path: Path) -> None:
        self._count()
        super().make_folders(path)

    def link(self, path: AnyPath, target: str) -> None:
        self._count()
        super().link(path, target)

    def flush(self, path: Path) -> None:
        self._count()
        super().flush(path)

    def replace(self, path: Path, target: Path) -> None:
        self._count()
        super().replace(path, target)

    def flush_folder(self, path: Path) -> None:
        self._count()
        super().flush_folder(path)

    def flush_all(self, root: Path, files: Iterable[Path]) -> None:  # noqa: ARG002
        self._count()


class PowerCut(FailingDisk):
    """A failing disk that knows what never reached it: bytes and names that were not flushed when the power went."""

    def __init__(self, last: int, *, halves: bool) -> None:
        super().__init__(last, halves=halves)
        self._unflushed: set[Path] = set()
        self._renamed: list[tuple[Path, bytes | None]] = []  # files whose names changed, with what was there before

    def create(self, path: AnyPath, content: bytes | memoryview, mode: int) -> None:
        self._unflushed.add(Path(path))
        super().create(path, content, mode)

    def write_at(self, path: AnyPath, content: bytes | memoryview, offset: int) -> None:
        self._unflushed.add(Path(path))
        super().write_at(path, content, offset)

    def note(self, path: Path, content: bytes) -> None:
        self._unflushed.add(path)
        super().note(path, content)

    def replace(self, path: Path, target: Path) -> None:
        before = [(name, _content(name)) for name in (path, target)]
        super().replace(path, target)
        # The worst there can be: of the files that were not flushed the journal alone reached the disk.
        if target.suffix != ".journal":
            self._renamed += before
            if path in self._unflushed:
                self._unflushed.add(target)

    def remove(self, path: AnyPath) -> None:
        before = _content(Path(path))
        super().remove(path)
        if before is not None:
            self._renamed.append((Path(path), before))

    def flush_folder(self, path: Path) -> None:
        super().flush_folder(path)
        self._renamed = [(name, before) for name, before in self._renamed if name.parent != path]

    def flush(self, path: Path) -> None:
        super().flush(path)
        self._unflushed.discard(path)

    def flush_all(self, root: Path, files: Iterable[Path]) -> None:
        super().flush_all(root, ())
        self._unflushed.difference_update(files)
        self._renamed.clear()

    def lose(self) -> None:
        """Leave zeros where bytes never reached the disk, in files of their full size: what a file system may do.

        A file that was removed or renamed in a folder that was not flushed since is there again, under its old name.
        """
        for path in self._unflushed:
            if path.is_file() and not path.is_symlink():
                path.write_bytes(bytes(path.stat().st_size))
        for path, before in reversed(self._renamed):
            if before is not None and path.parent.is_dir():
                path.write_bytes(before)
            elif before is None:
                path.unlink(missing_ok=True)


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() and not path.is_symlink() else None


class Rebooted(Disk):
    """The disk after the machine was started again, whose power stays: nothing of it has to be waited for."""

    def flush_all(self, root: Path, files: Iterable[Path]) -> None: ...

    def boot(self) -> str:
        return "another"


class RefusingDisk(FailingDisk):
    """A disk of which change number `last` is refused with an errno, or all from there on."""

    def __init__(self, last: int, number: int, *, for_ever: bool) -> None:
        super().__init__(last, halves=False)
        self.refused = 0
        self._number = number
        self._for_ever = for_ever

    def _count(self) -> bool:
        self._left -= 1
        if self._left == 0 or (self._for_ever and self._left < 0):
            self.refused += 1
            raise OSError(self._number, os.strerror(self._number))
        return False


@contextmanager
def small_disk(place: Path, options: str) -> Iterator[Path]:
    """Give a real disk of the kernel's, in memory, as small as these options of its mount say. Needs root."""
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


@contextmanager
def ext4_disk(place: Path) -> Iterator[Path]:
    """Give a real disk of 32 MiB with blocks, which folders take too. Needs root."""
    image = place.with_name(f"{place.name}.ext4")
    with image.open("wb") as file:
        file.truncate(32 * 1024 * 1024)
    subprocess.run(["mkfs.ext4", "-q", "-b", "4096", "-m", "0", image], check=True)
    place.mkdir()
    subprocess.run(["mount", "-o", "loop", image, place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def leave_free(disk: Path, count: int) -> None:
    """Take the room of a disk but for so many bytes, to a block."""
    taker = disk / "taker"
    taker.unlink(missing_ok=True)
    os.sync()  # what is reserved for bytes that are on their way is given back
    with taker.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, disk_usage(disk).free - count)
    os.sync()


def fill(disk: Path) -> Path:
    """Take the last byte of a disk, by a file that is returned."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return filler
