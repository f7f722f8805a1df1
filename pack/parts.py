"""Files too large for whoever carries them, in numbered parts: `cat NAME.*` joins them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from launcher.manifest import Part
from pack.errors import SpecInvalid

if TYPE_CHECKING:
    from typing import BinaryIO, Self

PART_SIZE = 2**31 - 1  # bytes: release hosts refuse 2 GiB, and accept one byte less


MOST = 999  # parts: numbers of three digits sort as they count, so that `cat NAME.*` joins them in order


def too_many(name: str, problem: str) -> SpecInvalid:
    """Return the error for a file that `--part-size` would cut into more parts than whoever joins them can take."""
    return SpecInvalid(f"{name} would {problem}; it has to be larger", path=Path("--part-size"))


class Parts:
    """A file in `folder`: `name`, or numbered parts of at most `size` bytes where one would be too large."""

    def __init__(self, folder: Path, name: str, size: int) -> None:
        self.finished: list[Part] = []
        self.written = 0
        self._folder = folder
        self._name = name
        self._size = size
        self._stream: BinaryIO | None = None
        self._room = 0
        self._digest = hashlib.sha256()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._close()
        if kind is None and len(self.finished) == 1:
            part = self.finished[0]
            whole = Part(name=self._name, size=part.size, sha256=part.sha256)
            (self._folder / part.name).rename(self._folder / whole.name)
            self.finished = [whole]

    def write(self, content: bytes) -> int:
        """Write all of `content`, over as many parts as it takes; return its length, as a stream does.

        Raises SpecInvalid where that would be more than numbers of three digits can name.
        """
        rest = memoryview(content)
        while rest:
            if not self._room:
                self._open_next()
            assert self._stream is not None
            piece = rest[: self._room]
            self._stream.write(piece)
            self._digest.update(piece)
            self._room -= len(piece)
            self.written += len(piece)
            rest = rest[len(piece) :]
        return len(content)

    @property
    def _next_name(self) -> str:
        return f"{self._name}.{len(self.finished) + 1:03}"

    def _open_next(self) -> None:
        self._close()
        if len(self.finished) == MOST:
            raise too_many(self._name, f"come in more than {MOST} parts of {self._size} bytes")
        self._stream = (self._folder / self._next_name).open("wb")
        self._room, self._digest = self._size, hashlib.sha256()

    def _close(self) -> None:
        if self._stream is not None:
            size = self._size - self._room
            self.finished.append(Part(name=self._next_name, size=size, sha256=self._digest.hexdigest()))
            self._stream.close()
            self._stream = None
