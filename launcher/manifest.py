"""What an archive holds. The header (`manifest.json`) is all a warm start reads; the index is for restore and verify.

The format is documented in docs/manifest.md. `from_dict` is the only way in: it either returns a value that is
safe to act on, or raises DocumentError with the place in the document.
"""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from launcher.document import Node, is_digest
from launcher.paths import check_paths
from launcher.platforms import Platform
from launcher.value import Value
from launcher.variables import read_variables

if TYPE_CHECKING:
    from collections.abc import Mapping

    from launcher.variables import Variable

SCHEMA = 1
MANIFEST_NAME = "manifest.json"
FRAME_LIMIT = 32 * 1024 * 1024  # unpacked bytes; bounds the memory of whoever reads an archive
PACKED_LIMIT = FRAME_LIMIT + FRAME_LIMIT // 128  # bytes of a frame that does not compress
INDEX_LIMIT = 32 * 1024 * 1024  # unpacked bytes; more than a hundred thousand entries
MODES = (0o644, 0o755)  # who may write a file is not the archive's to say; who may run it is
SLOT_NAME_LENGTH = 8  # short, since torch has paths of 191 characters and Windows a limit of 260


class NewerSchemaError(Exception):
    """The document's schema, the argument, is newer than SCHEMA."""

    def __init__(self, found: int) -> None:
        super().__init__(f"schema {found} is newer than {SCHEMA}")
        self.found = found


class Kind(StrEnum):
    """What an entry is."""

    FILE = "file"
    LINK = "link"
    FOLDER = "folder"


class Part(Value, kw_only=True):
    """A file of the resources; size in bytes."""

    name: str
    size: int
    sha256: str

    @classmethod
    def from_node(cls, node: Node) -> Part:
        """Read a part; its name is a plain file name, so that it cannot point out of the resources."""
        name = node.child("name").text()
        if not name or name in {".", ".."} or set(name) & set("/\\:\0"):
            raise node.child("name").refuse(f"expected a file name, found {name!r}")
        return cls(name=name, size=node.child("size").number(), sha256=node.child("sha256").digest())

    def to_dict(self) -> dict[str, Any]:
        """Return what `from_node` reads."""
        return {"name": self.name, "size": self.size, "sha256": self.sha256}


class Floor(Value, kw_only=True):
    """The least that runtime and stub need of the system; None where it does not apply."""

    glibc: str | None = None
    macos: str | None = None
    cuda_driver: str | None = None

    @classmethod
    def from_node(cls, node: Node) -> Floor:
        """Read the floor."""
        return cls(
            glibc=node.child("glibc").optional_version(),
            macos=node.child("macos").optional_version(),
            cuda_driver=node.child("cudaDriver").optional_version(),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return what `from_node` reads."""
        return {"glibc": self.glibc, "macos": self.macos, "cudaDriver": self.cuda_driver}


class Manifest(Value, kw_only=True):
    """The header of a runtime: who it is, where its bytes are, and what it needs.

    `disk` is the room it takes once installed, in bytes, files rounded up to blocks; `longest_path` the longest
    entry path in characters; `placeholder` the shortest binary placeholder in bytes, None where no binary has one;
    `core` how many of the `entries`, from the first on, the backend's server process needs.
    """

    runtime: str
    version: str
    platform: Platform
    accelerator: str
    created_at: str
    channel: str
    lock: str
    packages: Mapping[str, str]
    environment: Mapping[str, Variable]
    floor: Floor
    placeholder: int | None
    longest_path: int
    disk: int
    entries: int
    core: int
    parts: tuple[Part, ...]
    index: Part

    @property
    def slot_name(self) -> str:
        """The name of this runtime's slot."""
        return self.runtime[:SLOT_NAME_LENGTH]

    @classmethod
    def from_dict(cls, document: object) -> Manifest:
        """Read a manifest; raise DocumentError where it breaks the format, NewerSchemaError for a newer one."""
        node = Node(document)
        schema = node.child("schema").number()
        if schema > SCHEMA:
            raise NewerSchemaError(schema)
        platform = node.child("platform")
        try:
            platform_value = Platform(platform.text())
        except ValueError as error:
            raise platform.refuse(f"unknown platform {platform.value!r}") from error
        parts = tuple(Part.from_node(part) for part in node.child("parts").items())
        if not parts:
            raise node.child("parts").refuse("expected at least one part")
        return cls(
            runtime=node.child("runtime").digest(),
            version=node.child("version").text(),
            platform=platform_value,
            accelerator=node.child("accelerator").text(),
            created_at=node.child("createdAt").text(),
            channel=node.child("channel").text(),
            lock=node.child("lock").digest(),
            packages=MappingProxyType({name: version.text() for name, version in node.child("packages").members()}),
            environment=read_variables(node.child("environment")),
            floor=Floor.from_node(node.child("floor")),
            placeholder=node.child("placeholder").optional_number(),
            longest_path=node.child("longestPath").number(),
            disk=node.child("disk").number(),
            entries=node.child("entries").number(),
            core=node.child("core").number(),
            parts=parts,
            index=Part.from_node(node.child("index")),
        )

    def contradiction(self, index: Index) -> str | None:
        """Return what this says of the archive's entries that they do not bear out, with its place; else None."""
        from launcher.room import room

        found = {
            "entries": (self.entries, len(index.entries)),
            "longestPath": (self.longest_path, max((len(entry.path) for entry in index.entries), default=0)),
            "disk": (self.disk, room(index.entries)),
        }
        for place, (said, so) in found.items():
            if said != so:
                return f"{place}: {said}, where the index has {so}"
        if self.core > self.entries:
            return f"core: {self.core}, of {self.entries} entries"
        starting = {entry.path for entry in index.entries[: self.core]}
        needed = (entry.path for entry in index.entries if entry.relocated or entry.path == self.platform.python)
        left_out = next((path for path in needed if path not in starting), None)
        return None if left_out is None else f"core: {self.core}, which leaves out {left_out!r}"

    def to_dict(self) -> dict[str, Any]:
        """Return what `from_dict` reads."""
        return {
            "schema": SCHEMA,
            "runtime": self.runtime,
            "version": self.version,
            "platform": str(self.platform),
            "accelerator": self.accelerator,
            "createdAt": self.created_at,
            "channel": self.channel,
            "lock": self.lock,
            "packages": dict(sorted(self.packages.items())),
            "environment": {name: variable.to_dict() for name, variable in self.environment.items()},
            "floor": self.floor.to_dict(),
            "placeholder": self.placeholder,
            "longestPath": self.longest_path,
            "disk": self.disk,
            "entries": self.entries,
            "core": self.core,
            "parts": [part.to_dict() for part in self.parts],
            "index": self.index.to_dict(),
        }


class Frame(Value):
    """An independent zstd frame: `offset` and `size` in the archive, `length` unpacked, sha256 of the packed bytes."""

    offset: int
    size: int
    length: int
    sha256: str


class Entry(NamedTuple):
    """A file, link or folder of a runtime, as packed.

    `offset` is where a file's bytes begin in the unpacked bytes of frame number `frame`; what does not fit there
    goes on at the beginning of the next frame. Links and folders have no bytes, and frame and offset 0.
    """

    path: str
    kind: Kind
    mode: int
    size: int
    sha256: str
    target: str
    relocated: bool
    frame: int
    offset: int

    def identity(self) -> tuple[str | int | bool, ...]:
        """Return what makes two entries the same wherever their bytes lie in an archive."""
        return (self.path, self.kind.value, self.mode, self.size, self.sha256, self.target, self.relocated)


class Index(Value):
    """Every frame and every entry of an archive, in the archive's order."""

    frames: tuple[Frame, ...]
    entries: tuple[Entry, ...]

    @classmethod
    def from_dict(cls, document: object, platform: Platform) -> Index:
        """Read an index of a runtime for `platform`; raise DocumentError where it breaks the format or is unsafe."""
        node = Node(document)
        place_of_frames, place_of_entries = node.child("frames"), node.child("entries")
        frames = place_of_frames.rows(_frame)
        # Entries are rows, not objects: tens of thousands of them, read at every install.
        entries = place_of_entries.rows(partial(_entry, frames=frames))
        end = 0
        for number, frame in enumerate(frames):
            if frame.offset != end:
                raise place_of_frames.refuse(f"frame {number} begins at {frame.offset}, the one before ends at {end}")
            end += frame.size
        if reason := check_paths(((e.path, e.kind is Kind.FOLDER, e.target) for e in entries), platform):
            raise place_of_entries.refuse(reason)
        return cls(frames, entries)

    def to_dict(self) -> dict[str, Any]:
        """Return what `from_dict` reads."""
        return {
            "frames": [[f.offset, f.size, f.length, f.sha256] for f in self.frames],
            "entries": [[*e.identity(), e.frame, e.offset] for e in self.entries],
        }


def _frame(row: object) -> Frame:
    match row:
        case [int(offset), int(size), int(length), str(sha256)] if is_digest(sha256) and min(offset, size, length) >= 0:
            if length > FRAME_LIMIT:
                raise ValueError(f"unpacks to {length} bytes, more than {FRAME_LIMIT}")
            if size > PACKED_LIMIT:
                raise ValueError(f"has {size} packed bytes, more than {PACKED_LIMIT}")
            return Frame(offset, size, length, sha256)
        case _:
            raise ValueError("expected [offset, size, length, sha256]")


# Compared as a whole: nine patterns for each of tens of thousands of rows took a third of reading an index.
_ROW = (str, str, int, int, str, str, bool, int, int)
_KINDS = {kind.value: kind for kind in Kind}


def _entry(row: object, frames: tuple[Frame, ...]) -> Entry:
    if not isinstance(row, list) or tuple(map(type, row)) != _ROW:
        raise ValueError("expected [path, kind, mode, size, sha256, target, relocated, frame, offset]")
    path, kind, mode, size, sha256, target, relocated, frame, at = row
    if size < 0 or frame < 0 or at < 0 or mode not in MODES:
        raise ValueError(f"expected sizes of zero or above and a mode of {MODES}, found {size}, {frame}, {at}, {mode}")
    if kind not in _KINDS:
        raise ValueError(f"unknown kind {kind!r}")
    entry = Entry(path, _KINDS[kind], mode, size, sha256, target, relocated, frame, at)
    if entry.kind is Kind.FILE:
        if not is_digest(sha256) or target:
            raise ValueError("a file has a sha256 and no target")
        if not _bytes_exist(entry, frames):
            raise ValueError(f"its {size} bytes reach beyond the last frame")
    elif size or sha256 or relocated or bool(target) != (entry.kind is Kind.LINK):
        raise ValueError("a link has a target and nothing else, a folder nothing at all")
    return entry


def _bytes_exist(entry: Entry, frames: tuple[Frame, ...]) -> bool:
    """Whether the frames from `entry.frame` on hold the entry's bytes."""
    if not entry.size:
        return True
    missing, number = entry.offset + entry.size, entry.frame
    while missing > 0 and number < len(frames):
        missing -= frames[number].length
        number += 1
    return missing <= 0
