"""The folder the launcher ships in: manifest, index, archive parts. Each is checked before it is believed."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from launcher.errors import (
    ArchiveDamaged,
    ArchiveMissing,
    ArchiveUnreadable,
    LauncherError,
    ManifestInvalid,
    ManifestTooNew,
    WrongPlatform,
)
from launcher.manifest import INDEX_LIMIT, MANIFEST_NAME, SCHEMA, Index, Manifest, NewerSchemaError
from launcher.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from launcher.manifest import Frame, Part
    from launcher.platforms import Platform

_READ = os.O_RDONLY | getattr(os, "O_BINARY", 0)
_READ_SIZE = 256 * 1024  # bytes; what malloc() keeps for the next time, where it gives a megabyte back to the system


class Resources(Value):
    """A resources folder and the manifest in it; `document` is what was read, byte for byte."""

    folder: Path
    document: bytes
    manifest: Manifest

    @classmethod
    def open(cls, folder: Path, here: Platform) -> Resources:
        """Read the manifest in `folder`; raise ManifestInvalid, ManifestTooNew or WrongPlatform."""
        path = folder / MANIFEST_NAME
        try:
            document = path.read_bytes()
            manifest = Manifest.from_dict(json.loads(document))
        except FileNotFoundError as error:
            raise ManifestInvalid(path, f"there is no such file in {folder}") from error
        except NewerSchemaError as error:
            raise ManifestTooNew(path, error.found, SCHEMA) from error
        except OSError as error:
            raise ManifestInvalid(path, f"it cannot be read: {error.strerror or error}") from error
        except (ValueError, RecursionError) as error:
            raise ManifestInvalid(path, str(error)) from error
        if manifest.platform is not here:
            raise WrongPlatform(path, manifest.platform, here)
        return cls(folder, document, manifest)

    def check_manifest(self, expected: str | None) -> None:
        """Raise ManifestInvalid unless the manifest's sha256 is `expected`, the one frozen into the launcher."""
        import hashlib

        if expected is not None and (found := hashlib.sha256(self.document).hexdigest()) != expected:
            raise ManifestInvalid(
                self.folder / MANIFEST_NAME, f"its sha256 is {found}, and this launcher was made for {expected}"
            )

    def trusted_index(self, expected: str | None) -> Index:
        """Return the index, once the manifest that vouches for it is the `expected` one and is borne out by it.

        Raises as `check_manifest` and `read_index` do.
        """
        self.check_manifest(expected)
        index = self.read_index()
        if (reason := self.manifest.contradiction(index)) is not None:
            raise ManifestInvalid(self.folder / MANIFEST_NAME, reason)
        return index

    def problems_of_parts(self) -> dict[str, LauncherError]:
        """Return why a part, by its name, is not there in its full size: ArchiveMissing, -Unreadable or -Damaged."""
        found: dict[str, LauncherError] = {}
        for part in self.manifest.parts:
            try:
                self._check_size(part)
            except LauncherError as error:
                found[part.name] = error
        return found

    def parts_of(self, frame: Frame) -> list[str]:
        """Return the names of the parts that hold some of a frame."""
        return [part.name for part, _, _ in self._pieces(frame)]

    def read_index(self) -> Index:
        """Return the index; raise as `read_frame` does, or ManifestInvalid where it breaks its format."""
        import hashlib

        import zstandard

        part = self.manifest.index
        path = self._check_size(part)
        with _reading(path):
            packed = path.read_bytes()
        if (found := hashlib.sha256(packed).hexdigest()) != part.sha256:
            raise ArchiveDamaged(path, "its sha256", part.sha256, found)
        try:
            # What a frame says of its size decides how much memory is taken for it.
            if not 0 <= (length := zstandard.frame_content_size(packed)) <= INDEX_LIMIT:
                raise ManifestInvalid(path, f"it unpacks to {length} bytes, where {INDEX_LIMIT} are the most")
            index = Index.from_dict(json.loads(zstandard.decompress(packed)), self.manifest.platform)
        except (ValueError, RecursionError, zstandard.ZstdError) as error:
            raise ManifestInvalid(path, str(error)) from error
        framed, parts = sum(frame.size for frame in index.frames), sum(part.size for part in self.manifest.parts)
        if framed != parts:
            raise ManifestInvalid(path, f"its frames are {framed} bytes, the archive's parts {parts}")
        return index

    def read_frame(self, frame: Frame) -> bytes:
        """Return the unpacked bytes of a frame; raise ArchiveMissing, ArchiveUnreadable or ArchiveDamaged."""
        import hashlib

        import zstandard

        pieces, path = [], self.folder
        for part, start, size in self._pieces(frame):
            path = self.folder / part.name
            with _reading(path), path.open("rb") as stream:
                stream.seek(start)
                pieces.append(stream.read(size))
        packed = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        del pieces
        if (found := hashlib.sha256(packed).hexdigest()) != frame.sha256:
            raise ArchiveDamaged(path, f"the sha256 of the frame at byte {frame.offset}", frame.sha256, found)
        try:
            if (length := zstandard.frame_content_size(packed)) != frame.length:
                raise ArchiveDamaged(path, f"the frame at byte {frame.offset}", f"{frame.length} bytes", length)
            return zstandard.ZstdDecompressor().decompress(packed)
        except zstandard.ZstdError as error:
            raise ArchiveDamaged(path, f"the frame at byte {frame.offset}", "a zstd frame", error) from error

    def _pieces(self, frame: Frame) -> list[tuple[Part, int, int]]:
        """Return (part, offset in it, size) of each part that holds some of the frame, in order."""
        pieces, begin, end = [], 0, frame.offset + frame.size
        for part in self.manifest.parts:
            first, last = max(frame.offset, begin), min(end, begin + part.size)
            if first < last:
                pieces.append((part, first - begin, last - first))
            begin += part.size
        return pieces

    def _check_size(self, part: Part) -> Path:
        path = self.folder / part.name
        with _reading(path):
            size = path.stat().st_size
        if size != part.size:
            raise ArchiveDamaged(path, "its size", f"{part.size} bytes", f"{size} bytes")
        return path


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn the system's errors on reading `path` into ours: ArchiveMissing, ArchiveUnreadable."""
    try:
        yield
    except FileNotFoundError as error:
        raise ArchiveMissing(path) from error
    except OSError as error:
        raise ArchiveUnreadable(path, error.strerror or str(error)) from error


def file_digest(path: Path | str) -> str:
    """Return the sha256 of a file."""
    import hashlib

    digest = hashlib.sha256()
    descriptor = os.open(path, _READ)
    try:
        while chunk := os.read(descriptor, _READ_SIZE):
            digest.update(chunk)
    finally:
        os.close(descriptor)
    return digest.hexdigest()
