"""What it costs to be sure that files are on the disk: `python -m tests.bench_flush [ROUNDS] [--core]`. Judges nothing.

Each way writes the same entries of the staged runtime into a new folder, one way after another in each round, so that a
busy disk is as busy for all. Before each the disk is let come to rest.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING
from unittest.mock import patch

from launcher import disk as disk_module
from launcher.disk import Disk
from launcher.manifest import Kind
from launcher.platforms import Platform
from launcher.resources import Resources
from launcher.restore import restore
from tests.builders.backend import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable

    from launcher.disk import AnyPath
    from launcher.manifest import Entry

_libc = ctypes.CDLL(None, use_errno=True)
_SYNC_FILE_RANGE_WRITE = 2


class Each(Disk):
    """A disk that has something done to each file before it is closed."""

    def __init__(self, do: Callable[[int], object]) -> None:
        self.do = do

    def create(self, path: AnyPath, content: bytes | memoryview, mode: int) -> None:
        super().create(path, content, mode)
        self._reopen(path)

    def write_at(self, path: AnyPath, content: bytes | memoryview, offset: int) -> None:
        super().write_at(path, content, offset)
        self._reopen(path)

    def _reopen(self, path: AnyPath) -> None:
        descriptor = os.open(path, os.O_WRONLY)
        try:
            self.do(descriptor)
        finally:
            os.close(descriptor)


def sync_all(_slot: Path, _entries: list[Entry]) -> None:
    os.sync()


def sync_file_system(slot: Path, _entries: list[Entry]) -> None:
    descriptor = os.open(slot, os.O_RDONLY)
    if _libc.syncfs(descriptor):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    os.close(descriptor)


def sync_each_in_the_end(slot: Path, entries: list[Entry]) -> None:
    def flush(entry: Entry) -> None:
        descriptor = os.open(slot / entry.path, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)

    with ThreadPoolExecutor(32) as pool:
        list(pool.map(flush, [entry for entry in entries if entry.kind is Kind.FILE]))


def nothing(_slot: Path, _entries: list[Entry]) -> None:
    pass


def start_writing(descriptor: int) -> None:
    _libc.sync_file_range(descriptor, ctypes.c_int64(0), ctypes.c_int64(0), _SYNC_FILE_RANGE_WRITE)


ASKED = "posix_fadvise of large ones as they are written, syncfs in the end"  # as the launcher does
WAYS: dict[str, tuple[Disk, Callable[[Path, list[Entry]], None]]] = {
    "no flush at all": (Disk(), nothing),
    "sync in the end": (Disk(), sync_all),
    "syncfs in the end": (Disk(), sync_file_system),
    "sync_file_range of each, syncfs in the end": (Each(start_writing), sync_file_system),
    ASKED: (Disk(), sync_file_system),
    "fsync of each by 32 threads in the end": (Disk(), sync_each_in_the_end),
    "fdatasync of each as it is written": (Each(os.fdatasync), nothing),
    "fsync of each as it is written": (Each(os.fsync), nothing),
}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rounds", type=int, nargs="?", default=3)
    parser.add_argument("--core", action="store_true", help="the entries that a first start waits for, and no others")
    parser.add_argument(
        "--disk", type=Path, default=REPOSITORY / "build", help="write into this folder: best on a new file system"
    )
    request = parser.parse_args()
    resources = Resources.open(REPOSITORY / "dist" / Platform.current() / "resources", Platform.current())
    entries = list(resources.read_index().entries)
    entries = entries[: resources.manifest.core] if request.core else entries
    size = sum(entry.size for entry in entries)
    print(f"{len(entries)} entries, {size / 1e6:.0f} MB\n\n| way | written, s | flushed, s | together, s | × sync |")
    print("|---|--:|--:|--:|--:|")
    found: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    for _ in range(request.rounds):
        for way in WAYS:
            found[way].append(measure(way, resources, entries, request.disk))
    usual = median(map(sum, found["sync in the end"]))
    for way, times in found.items():
        written, flushed = (median(column) for column in zip(*times, strict=True))
        together = median(map(sum, times))
        print(f"| {way} | {written:.2f} | {flushed:.2f} | {together:.2f} | {together / usual:.2f} |")
    return 0


def measure(way: str, resources: Resources, entries: list[Entry], place: Path) -> tuple[float, float]:
    """Return the seconds that writing took, and those of the flush after it."""
    disk, flush = WAYS[way]
    index = resources.read_index()
    least = sys.maxsize if way != ASKED else disk_module._LARGE
    with patch.object(disk_module, "_LARGE", least), tempfile.TemporaryDirectory(prefix="bench-", dir=place) as folder:
        os.sync()
        began = time.monotonic()
        restore(resources, index, entries, Path(folder, "slot"), disk, lambda _done, _total: None)
        written = time.monotonic()
        flush(Path(folder, "slot"), entries)
        return written - began, time.monotonic() - written


if __name__ == "__main__":
    sys.exit(main())
