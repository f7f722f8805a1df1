"""Write entries from the archive: all of them to install, some of them to repair.

Frames are read, checked, unpacked and written by all cores at once, as many as memory is allowed for.
Nothing is written before the sha256 of its frame was found right.
"""

from __future__ import annotations

import os
from collections import defaultdict
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, NamedTuple

from launcher.errors import ArchiveMissing
from launcher.manifest import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from launcher.disk import Disk
    from launcher.manifest import Entry, Frame, Index
    from launcher.resources import Resources


_MEMORY = 256 * 1024 * 1024  # bytes of the frames under way, packed and unpacked


class Piece(NamedTuple):
    """Bytes `start` to `end` of an unpacked frame, which begin at byte `at` of the entry's file."""

    entry: Entry
    start: int
    end: int
    at: int

    @property
    def is_whole(self) -> bool:
        """Whether this is all of the file."""
        return self.end - self.start == self.entry.size


def frames_of(entries: Iterable[Entry], frames: Sequence[Frame]) -> dict[int, list[Piece]]:
    """Return, by frame number, which pieces of which files have to be read from it."""
    needed: dict[int, list[Piece]] = defaultdict(list)
    for entry in entries:
        number, start, at = entry.frame, entry.offset, 0
        while at < entry.size:
            end = min(frames[number].length, start + entry.size - at)
            if start < end:
                needed[number].append(Piece(entry, start, end, at))
            at += end - start
            number, start = number + 1, 0
    return dict(sorted(needed.items()))


def own_frames(index: Index, entries: Sequence[Entry]) -> frozenset[int]:
    """Return the frames that hold bytes of these entries, and of no others."""
    names = {entry.path for entry in entries}
    others = (entry for entry in index.entries if entry.path not in names)
    return frozenset(frames_of(entries, index.frames).keys() - frames_of(others, index.frames).keys())


def written_entries(index: Index, frames: frozenset[int]) -> frozenset[str]:
    """Return the paths of the entries that are as packed where all of `frames` is written.

    What conda-unpack rewrites may be rewritten already: it is never among them.
    """
    needed = frames_of(index.entries, index.frames)
    open_ = {piece.entry.path for number, pieces in needed.items() if number not in frames for piece in pieces}
    return frozenset(entry.path for entry in index.entries if not entry.relocated and entry.path not in open_)


def require_parts(resources: Resources, index: Index, entries: Iterable[Entry]) -> None:
    """Raise ArchiveMissing, ArchiveUnreadable or ArchiveDamaged where a part that holds bytes of `entries` is no use.

    ArchiveMissing names those of the entries that cannot be had. Parts that hold others alone do not matter.
    """
    problems = resources.problems_of_parts()
    if not problems:
        return
    needed: dict[str, list[str]] = defaultdict(list)
    for number, pieces in frames_of(entries, index.frames).items():
        for part in resources.parts_of(index.frames[number]):
            needed[part] += [piece.entry.path for piece in pieces]
    stopping = {part: error for part, error in problems.items() if part in needed}
    missing = [part for part, error in stopping.items() if isinstance(error, ArchiveMissing)]
    if missing:
        paths = dict.fromkeys(path for part in missing for path in needed[part])
        raise ArchiveMissing(resources.folder / missing[0], len(missing) - 1, list(paths))
    for error in stopping.values():
        raise error


def restore(
    resources: Resources,
    index: Index,
    entries: Sequence[Entry],
    slot: Path,
    disk: Disk,
    progress: Callable[[int, int], None],
    finished: Callable[[int], None] = lambda _: None,
) -> None:
    """Write `entries` of `index` into `slot`; `progress` is told the archive bytes read and those to read.

    `finished` is told the number of each frame once all that was asked for of it is written.
    Raises ArchiveMissing, ArchiveDamaged, or the system's OSError; what was written until then is right.
    """
    place = f"{slot}/"
    _make_folders(slot, entries, disk)
    needed = frames_of((entry for entry in entries if entry.kind is Kind.FILE), index.frames)
    for entry in entries:
        if entry.kind is Kind.LINK:
            disk.link(place + entry.path, entry.target)
        elif entry.kind is Kind.FILE and _shares_frames(entry, index.frames):
            disk.create(place + entry.path, b"", entry.mode)
    total = sum(index.frames[number].size for number in needed)
    done = 0
    progress(done, total)

    def write(number: int, pieces: Sequence[Piece]) -> int:
        frame = index.frames[number]
        _restore_frame(resources, frame, pieces, place, disk)
        finished(number)
        return frame.size

    with ThreadPoolExecutor(threads_for((index.frames[n] for n in needed), os.cpu_count() or 1)) as pool:
        pending = {pool.submit(write, number, pieces) for number, pieces in needed.items()}
        try:
            while pending:
                ended, pending = wait(pending, timeout=0.1, return_when=FIRST_EXCEPTION)
                done += sum(future.result() for future in ended)
                progress(done, total)
        finally:
            for future in pending:
                future.cancel()


def threads_for(frames: Iterable[Frame], cores: int) -> int:
    """Return how many frames may be under way at once: one for each core, as far as memory goes."""
    largest = max((frame.size + frame.length for frame in frames), default=1)
    return max(1, min(cores, _MEMORY // max(largest, 1)))


def _shares_frames(entry: Entry, frames: Sequence[Frame]) -> bool:
    """Whether the file is written by several pieces, or has none: its first bytes may then come last."""
    return entry.size == 0 or entry.offset + entry.size > frames[entry.frame].length


def _make_folders(slot: Path, entries: Sequence[Entry], disk: Disk) -> None:
    folders = {entry.path for entry in entries if entry.kind is Kind.FOLDER}
    for entry in entries:
        parent = entry.path.rpartition("/")[0]
        while parent and parent not in folders:
            folders.add(parent)
            parent = parent.rpartition("/")[0]
    disk.make_folder(slot)
    for folder in sorted(folders):
        disk.make_folder(slot / folder)


def _restore_frame(resources: Resources, frame: Frame, pieces: Sequence[Piece], place: str, disk: Disk) -> None:
    content = memoryview(resources.read_frame(frame))
    for piece in pieces:
        path, found = place + piece.entry.path, content[piece.start : piece.end]
        if piece.is_whole:
            disk.create(path, found, piece.entry.mode)
        else:
            disk.write_at(path, found, piece.at)
