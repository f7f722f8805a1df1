"""The folder the launcher ships in: manifest, index, archive parts. Each is checked before it is believed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from launcher.document import DocumentError
from launcher.errors import ArchiveDamaged, ArchiveMissing, ManifestInvalid, ManifestTooNew, WrongPlatform
from launcher.manifest import MANIFEST_NAME, Index, Manifest, NewerSchemaError

if TYPE_CHECKING:
    from pathlib import Path

    from launcher.manifest import Frame, Part
    from launcher.platforms import Platform

_READ_SIZE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Resources:
    """A resources folder and the manifest read from it."""

    folder: Path
    manifest: Manifest

    @classmethod
    def open(cls, folder: Path, here: Platform) -> Resources:
        """Read the manifest in `folder`; raise ManifestInvalid, ManifestTooNew or WrongPlatform."""
        path = folder / MANIFEST_NAME
        try:
            manifest = Manifest.from_dict(json.loads(path.read_bytes()))
        except FileNotFoundError as error:
            raise ManifestInvalid(path, "there is no such file") from error
        except NewerSchemaError as error:
            from launcher.manifest import SCHEMA

            raise ManifestTooNew(path, error.found, SCHEMA) from error
        except (OSError, ValueError, RecursionError) as error:
            raise ManifestInvalid(path, str(error)) from error
        if manifest.platform is not here:
            raise WrongPlatform(path, manifest.platform, here)
        return cls(folder, manifest)

    def check_manifest(self, expected: str | None) -> None:
        """Raise ManifestInvalid unless the manifest's sha256 is `expected`, the one frozen into the launcher."""
        path = self.folder / MANIFEST_NAME
        if expected is not None and (found := file_digest(path)) != expected:
            raise ManifestInvalid(path, f"its sha256 is {found}, and this launcher was made for {expected}")

    def check_parts(self) -> None:
        """Raise ArchiveMissing or ArchiveDamaged unless every part is there in its full size."""
        for part in self.manifest.parts:
            self._check_size(part)

    def read_index(self) -> Index:
        """Return the index; raise ArchiveMissing, ArchiveDamaged, or ManifestInvalid where it breaks its format."""
        import hashlib

        import zstandard

        part = self.manifest.index
        path = self._check_size(part)
        packed = path.read_bytes()
        found = hashlib.sha256(packed).hexdigest()
        if found != part.sha256:
            raise ArchiveDamaged(path, "its sha256", part.sha256, found)
        try:
            return Index.from_dict(json.loads(zstandard.decompress(packed)), self.manifest.platform)
        except (DocumentError, json.JSONDecodeError, zstandard.ZstdError) as error:
            raise ManifestInvalid(path, str(error)) from error

    def read_frame(self, frame: Frame) -> bytes:
        """Return the unpacked bytes of a frame, checked; raise ArchiveMissing or ArchiveDamaged."""
        import hashlib

        import zstandard

        pieces, path = [], self.folder
        for part, start, size in self._pieces(frame):
            path = self.folder / part.name
            try:
                with path.open("rb") as stream:
                    stream.seek(start)
                    pieces.append(stream.read(size))
            except FileNotFoundError as error:
                raise ArchiveMissing(path) from error
        packed = b"".join(pieces)
        found = hashlib.sha256(packed).hexdigest()
        if found != frame.sha256:
            raise ArchiveDamaged(path, f"the sha256 of the frame at byte {frame.offset}", frame.sha256, found)
        unpacked = zstandard.ZstdDecompressor().decompress(packed, max_output_size=frame.length)
        if len(unpacked) != frame.length:
            raise ArchiveDamaged(path, f"the frame at byte {frame.offset}", frame.length, len(unpacked))
        return unpacked

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
        try:
            size = path.stat().st_size
        except FileNotFoundError as error:
            raise ArchiveMissing(path) from error
        if size != part.size:
            raise ArchiveDamaged(path, "its size", f"{part.size} bytes", f"{size} bytes")
        return path


def file_digest(path: Path) -> str:
    """Return the sha256 of a file."""
    import hashlib

    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as stream:
        while chunk := stream.read(_READ_SIZE):
            digest.update(chunk)
    return digest.hexdigest()
