"""What is to be archived: files, links and folders, each with the conda package it came with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from launcher.manifest import Kind
from pack.errors import SourceChanged
from pack.records import FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_READ_SIZE = 4 * 1024 * 1024  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file, link or folder to be archived; `package` is the conda package it came with, "" for conda-pack's own.

    A file's bytes are `content` where that is set, else those of the file `at`. `forbidden` are byte strings that
    must not occur in it, since nothing would rewrite them where it is installed. `sha256` is what its package says
    of its bytes, "" where it says nothing.
    """

    path: str
    package: str
    kind: Kind
    mode: int = 0o644
    target: str = ""
    at: Path | None = None
    content: bytes | None = None
    relocated: bool = False
    forbidden: tuple[bytes, ...] = ()
    sha256: str = ""

    @property
    def is_metadata(self) -> bool:
        """Whether it only says what is installed, as conda does or Python's packages do.

        https://packaging.python.org/specifications/recording-installed-packages/
        """
        return ".dist-info/" in self.path or self.path.startswith(FOLDER)

    def size(self) -> int:
        """Return the bytes of a file, 0 of all else; raise SourceChanged where it has gone."""
        if self.kind is not Kind.FILE:
            return 0
        return len(self.content) if self.content is not None else _size(self.path, self._file())

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes of a file, some at a time; raise SourceChanged where it has gone."""
        if self.content is not None:
            yield self.content
            return
        try:
            with self._file().open("rb", buffering=0) as stream:
                while chunk := stream.read(_READ_SIZE):
                    yield chunk
        except FileNotFoundError as error:
            raise SourceChanged(self.path, "it has gone") from error

    def read(self) -> bytes:
        """Return all of the bytes; raise SourceChanged where the file has gone."""
        return b"".join(self.chunks())

    def holds(self, needle: bytes) -> bool:
        """Whether the byte string occurs in the file."""
        search = Search((needle,))
        return any(search.find(chunk) for chunk in self.chunks())

    def _file(self) -> Path:
        assert self.at is not None, "a source without content has a file"
        return self.at


class Search:
    """Looks for byte strings in a stream that comes in chunks, across their borders too."""

    def __init__(self, needles: Sequence[bytes]) -> None:
        self._needles = needles
        self._keep = max(map(len, needles), default=1) - 1
        self._tail = b""

    def find(self, chunk: bytes) -> bytes | None:
        """Return the first of the byte strings that the stream holds now that `chunk` came, else None."""
        if not self._needles:
            return None
        window = self._tail + chunk
        self._tail = window[max(0, len(window) - self._keep) :]
        return next((needle for needle in self._needles if needle in window), None)


def _size(path: str, file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError as error:
        raise SourceChanged(path, "it has gone") from error
