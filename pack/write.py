"""Sources → a framed archive: a plain tar in a plain .tar.zst, cut into independent frames at known places."""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import zstandard

from launcher.manifest import Entry, Frame, Index, Kind
from pack.errors import MachinePathFound, PlaceholderLeft, SourceChanged
from pack.parts import PART_SIZE, Parts
from pack.source import Search

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path
    from typing import Self

    from launcher.manifest import Part
    from pack.progress import Progress
    from pack.source import Source

ARCHIVE_NAME = "runtime.tar.zst"
FRAME_SIZE = 16 * 1024 * 1024  # unpacked bytes: one for each core is what a restore holds in memory
LEVEL = 7  # zstd's, for every day; docs/benchmarks.md compares
RELEASE_LEVEL = 18  # minutes more for one builder, 5 to 9 % fewer bytes for each user
# One for all entries of all releases, since a second's change makes another frame. The first that zip knows, too.
_MTIME = 315532800  # 1980-01-01T00:00:00Z
_MB = 1_000_000
_BLOCK = tarfile.BLOCKSIZE
_MEMORY = 288 * 1024 * 1024  # bytes for frames under way, of 512 MiB: Python and the list of entries take up to 200


@dataclass(frozen=True, slots=True)
class Written:
    """An archive on disk."""

    parts: tuple[Part, ...]
    index: Index


def write_archive(
    sources: Sequence[Source],
    folder: Path,
    *,
    core: Collection[str] = (),
    machine_paths: Sequence[bytes],
    progress: Progress,
    level: int = LEVEL,
    part_size: int = PART_SIZE,
    frame_size: int = FRAME_SIZE,
) -> Written:
    """Write `sources` as an archive into `folder`, those whose paths are in `core` first.

    Each package's files lie together, in frames of their own, so that a package that did not change gives the same
    frames in the next release. Raises MachinePathFound where a file holds one of `machine_paths`, PlaceholderLeft
    where it holds what it must not, SourceChanged where it does not hold still.
    """
    ordered = sorted((source.path not in core, source.package, source.path, source) for source in sources)
    entries, total = [], 1 + sum(source.size() for source in sources) // _MB

    def tell(written: int) -> None:
        progress("archive, in MB", min(written // _MB, total), total)  # what is written has headers, too

    with Parts(folder, ARCHIVE_NAME, part_size) as parts, _Frames(parts, frame_size, level, tell) as frames:
        tell(0)
        group = None
        for is_rest, package, _, source in ordered:
            if (is_rest, package) != group:
                frames.cut()
                group = (is_rest, package)
            entries.append(_add(source, frames, machine_paths))
        frames.cut()
        frames.add(bytes(2 * _BLOCK))  # how a tar ends
    progress("archive, in MB", total, total)
    return Written(tuple(parts.finished), Index(tuple(frames.finished), tuple(entries)))


def _add(source: Source, frames: _Frames, machine_paths: Sequence[bytes]) -> Entry:
    size = source.size()
    header = _header(source, size)
    stands_alone = not frames.make_room(len(header) + size + -size % _BLOCK)
    frames.add(header)
    frame, offset = frames.position if size else (0, 0)
    sha256 = _add_bytes(source, size, frames, machine_paths) if source.kind is Kind.FILE else ""
    if stands_alone:
        frames.cut()
    return Entry(
        path=source.path,
        kind=source.kind,
        mode=source.mode,
        size=size,
        sha256=sha256,
        target=source.target,
        relocated=source.relocated,
        frame=frame,
        offset=offset,
    )


def _header(source: Source, size: int) -> bytes:
    member = tarfile.TarInfo(source.path)
    member.mode, member.mtime, member.size, member.linkname = source.mode, _MTIME, size, source.target
    member.type = {Kind.FILE: tarfile.REGTYPE, Kind.LINK: tarfile.SYMTYPE, Kind.FOLDER: tarfile.DIRTYPE}[source.kind]
    return member.tobuf(tarfile.PAX_FORMAT)


def _add_bytes(source: Source, size: int, frames: _Frames, machine_paths: Sequence[bytes]) -> str:
    """Add a file's bytes and what fills its last block; return its sha256."""
    digest, done = hashlib.sha256(), 0
    search = Search((*machine_paths, *source.forbidden))
    for chunk in source.chunks():
        if found := search.find(chunk):
            error = MachinePathFound if found in machine_paths else PlaceholderLeft
            raise error(source.path, os.fsdecode(found))
        done += len(chunk)
        if done > size:
            break
        digest.update(chunk)
        frames.add(chunk)
    if done != size:
        raise SourceChanged(source.path, f"it had {size} bytes, and now has {'more' if done > size else done}")
    sha256 = digest.hexdigest()
    if source.sha256 not in {"", sha256}:
        raise SourceChanged(source.path, "its bytes are not those that its package brought")
    frames.add(bytes(-size % _BLOCK))
    return sha256


def compression(level: int, frame_size: int, length: int) -> zstandard.ZstdCompressionParameters:
    """Return zstd's parameters for a frame of `length` bytes: the level's own, but for a window of a whole frame.

    Whoever unpacks a frame holds all of it, so a wide window costs no one memory, and what lies in it is found again.
    """
    window = max(zstandard.WINDOWLOG_MIN, (frame_size - 1).bit_length())
    return zstandard.ZstdCompressionParameters.from_level(level, source_size=length, window_log=window)


def threads_for(level: int, frame_size: int, cores: int) -> int:
    """Return how many frames to compress at once: one a core, or as many as fit into the memory that there is."""
    context = compression(level, frame_size, frame_size).estimated_compression_context_size()
    # Each thread has a context, a frame it reads and one it writes; one more pair waits, and one is being filled.
    return max(1, min(cores, (_MEMORY - 3 * frame_size) // (context + 2 * frame_size)))


class _Frames:
    """Cuts a stream of bytes into frames, compresses them on all cores, and writes them in order."""

    def __init__(self, parts: Parts, size: int, level: int, tell: Callable[[int], None]) -> None:
        """`tell` is told after each frame how many unpacked bytes are written."""
        self.finished: list[Frame] = []
        self._written = 0
        self._tell = tell
        self._parts = parts
        self._size = size
        self._level = level
        self._open = bytearray()
        self._cut = 0
        self._threads = threads_for(level, size, os.cpu_count() or 1)
        self._pool = ThreadPoolExecutor(self._threads)
        self._pending: deque[tuple[int, Future[bytes]]] = deque()
        self._under_way = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.cut()
            while self._pending:
                self._write_next()
        self._pool.shutdown(cancel_futures=True)

    @property
    def position(self) -> tuple[int, int]:
        """The number of the open frame, and the bytes in it."""
        return self._cut, len(self._open)

    def make_room(self, size: int) -> bool:
        """Begin a new frame where `size` bytes would not fit into the open one; return whether they now do."""
        if len(self._open) + size > self._size:
            self.cut()
        return size <= self._size

    def add(self, content: bytes) -> None:
        """Add bytes, over as many frames as they take."""
        rest = memoryview(content)
        while rest:
            room = self._size - len(self._open)
            self._open += rest[:room]
            rest = rest[room:]
            if len(self._open) == self._size:
                self.cut()

    def cut(self) -> None:
        """End the open frame."""
        if not self._open:
            return
        content, self._open = self._open, bytearray()
        self._cut += 1
        self._pending.append((len(content), self._pool.submit(self._compress, content)))
        self._under_way += len(content)
        # A whole frame for each thread is under way, and one more waits: that bounds the memory.
        while self._under_way > (self._threads + 1) * self._size:
            self._write_next()

    def _compress(self, content: bytearray) -> bytes:
        parameters = compression(self._level, self._size, len(content))
        return zstandard.ZstdCompressor(compression_params=parameters).compress(content)

    def _write_next(self) -> None:
        length, future = self._pending.popleft()
        packed = future.result()
        self._under_way -= length
        self.finished.append(Frame(self._parts.written, len(packed), length, hashlib.sha256(packed).hexdigest()))
        self._parts.write(packed)
        self._written += length
        self._tell(self._written)
