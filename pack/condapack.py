"""Every use of conda-pack: what belongs to an environment, and the conda-unpack that will relocate it.

conda-pack 0.9.2 decides; none of its writers is used, because none can frame, thread or reproduce. Its Packer hands
each file to an archive object (`add`, `add_bytes`), which here only takes note. Packer is not public: the version is
pinned, and this module is the one place that knows it.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conda_pack import CondaEnv, CondaPackException
from conda_pack.core import Packer

from launcher.manifest import Kind
from pack.errors import PrefixNotPackable, UnmanagedFiles
from pack.literals import quote_safely

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# rattler marks the prefix as a cache; it belongs to no package and nothing reads it.
_LEFT_OUT = frozenset({"CACHEDIR.TAG", "conda-meta/CACHEDIR.TAG"})
_RECORDS = "conda-meta/"
_HISTORY = b"==> made by peft-studio-engine <==\n"
# CPython finds its own place, and conda-pack leaves the interpreter alone: it runs conda-unpack.
_INTERPRETER = re.compile(r"bin/python")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file, link or folder to be archived; `package` is the conda package it came with, "" for conda-pack's own.

    A file's bytes are `content` where that is set, else those of the file `at`.
    """

    path: str
    package: str
    kind: Kind
    mode: int = 0o644
    target: str = ""
    at: Path | None = None
    content: bytes | None = None
    relocated: bool = False

    def read(self) -> bytes:
        """Return all of the bytes."""
        if self.content is not None:
            return self.content
        assert self.at is not None, "a source without content has a file"
        return self.at.read_bytes()


def collect(prefix: Path, channel: str) -> list[Source]:
    """Return what the environment in `prefix` consists of, conda-unpack included.

    `channel` is the name that package records get in the place of folders of this machine. Raises
    PrefixNotPackable where conda-pack refuses, UnmanagedFiles where the prefix holds what no package brought.
    """
    try:
        files = CondaEnv.from_prefix(str(prefix), on_missing_cache="raise").files
    except CondaPackException as error:
        raise PrefixNotPackable(prefix, str(error)) from error
    files = [file for file in files if file.target not in _LEFT_OUT]
    if unmanaged := sorted(file.target for file in files if not file.is_conda):
        raise UnmanagedFiles(prefix, unmanaged)
    notes = _Notes()
    packer = Packer(str(prefix), notes)
    for file in files:
        packer.add(file)
    # conda-pack records every text file of unknown origin: only those that hold the placeholder are rewritten.
    holders = {
        _posix(target): (target, placeholder, mode)
        for target, placeholder, mode in packer.prefixes
        if placeholder.encode() in notes.read(target) and not _INTERPRETER.match(target)
    }
    packer.prefixes = [holders[path] for path in sorted(holders)]
    notes.keep_content = True  # what follows lies in temporary files that conda-pack removes at once
    packer.finish()
    owners = _owners(prefix)
    for path, (_, placeholder, mode) in holders.items():
        if path.endswith(".py") and mode == "text":
            notes.replace(path, quote_safely(notes.read(path), placeholder))
    return [
        _source(path, note, owners.get(path, ""), channel, relocated=path in holders)
        for path, note in sorted(notes.found.items())
    ]


def shortest_placeholder(prefix: Path, sources: Iterable[Source]) -> int | None:
    """Return the length in bytes of the shortest placeholder in a relocated binary, None where there is none."""
    relocated = {source.path for source in sources if source.relocated}
    lengths = [
        len(entry["prefix_placeholder"].encode())
        for record in records(prefix)
        for entry in record.get("paths_data", {}).get("paths", ())
        if entry.get("file_mode") == "binary" and entry["_path"] in relocated
    ]
    return min(lengths, default=None)


def records(prefix: Path) -> list[dict[str, Any]]:
    """Return the records of the packages in `prefix`, by name."""
    found = [json.loads(path.read_bytes()) for path in (prefix / "conda-meta").glob("*.json")]
    return sorted(found, key=lambda record: str(record["name"]))


@dataclass(frozen=True, slots=True)
class _Note:
    at: Path
    content: bytes | None = None
    mode: int = 0


class _Notes:
    """What conda-pack takes for its archive."""

    def __init__(self) -> None:
        self.found: dict[str, _Note] = {}
        self.keep_content = False

    def add(self, source: str, target: str) -> None:
        at = Path(source)
        mode = at.lstat().st_mode
        self.found[_posix(target)] = _Note(at, at.read_bytes() if self.keep_content else None, mode)

    def add_bytes(self, source: str, content: bytes, target: str) -> None:
        at = Path(source)
        self.found[_posix(target)] = _Note(at, content, at.lstat().st_mode)

    def read(self, target: str) -> bytes:
        note = self.found[_posix(target)]
        return note.at.read_bytes() if note.content is None else note.content

    def replace(self, path: str, content: bytes) -> None:
        self.found[path] = replace(self.found[path], content=content)


def _posix(target: str) -> str:
    return target.replace(os.sep, "/")


def _source(path: str, note: _Note, package: str, channel: str, *, relocated: bool) -> Source:
    if note.content is None and note.at.is_symlink():
        return Source(path=path, package=package, kind=Kind.LINK, target=str(note.at.readlink()))
    if note.content is None and note.at.is_dir():
        return Source(path=path, package=package, kind=Kind.FOLDER, mode=0o755)
    content = note.content
    if path == "conda-meta/history":
        content = _HISTORY
    elif path.startswith(_RECORDS) and path.endswith(".json"):
        content = _plain_record(json.loads(note.content or note.at.read_bytes()), channel)
    # Only whether it may be run is the file's own: the rest is the umask of whoever unpacked a package here.
    mode = 0o755 if note.mode & 0o111 else 0o644
    return Source(
        path=path,
        package=package,
        kind=Kind.FILE,
        mode=mode,
        at=None if content is not None else note.at,
        content=content,
        relocated=relocated,
    )


def _plain_record(record: Mapping[str, Any], channel: str) -> bytes:
    """Return a package's record without times and folders of this machine."""
    plain = {
        key: value for key, value in record.items() if key not in {"timestamp", "requested_spec", "requested_specs"}
    }
    plain["channel"] = channel
    if not str(plain.get("url", "")).startswith("https:"):
        plain["url"] = f"{channel}/{plain['subdir']}/{plain['fn']}"
    # The hash of a file as installed here says where "here" was.
    paths = plain.get("paths_data", {}).get("paths", ())
    plain["paths_data"] = {
        **plain.get("paths_data", {}),
        "paths": [{key: value for key, value in entry.items() if key != "sha256_in_prefix"} for entry in paths],
    }
    return json.dumps(plain, indent=1, sort_keys=True).encode() + b"\n"


def _owners(prefix: Path) -> dict[str, str]:
    owners = {}
    for path in (prefix / "conda-meta").glob("*.json"):
        record = json.loads(path.read_bytes())
        owners[f"{_RECORDS}{path.name}"] = record["name"]
        owners |= dict.fromkeys(record["files"], record["name"])
    return owners
