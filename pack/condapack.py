"""Every use of conda-pack: what belongs to an environment, and the conda-unpack that will relocate it.

conda-pack 0.9.2 decides; none of its writers is used, because none can frame, thread or reproduce. Its Packer hands
each file to an archive object (`add`, `add_bytes`), which here only takes note. Packer is not public: the version is
pinned, and this module is the one place that knows it.
"""

from __future__ import annotations

import json
import os
import re
import stat
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from conda_pack import CondaEnv, CondaPackException
from conda_pack.core import Packer

from launcher.manifest import Kind
from pack.errors import PrefixNotPackable, SourceChanged, UnmanagedFiles, UnsafeEntries
from pack.literals import quote_safely
from pack.records import (
    CACHE_TAG,
    FOLDER,
    HISTORY,
    digests,
    files_of,
    owners,
    placeholders,
    plain_record,
    records,
    rows,
)
from pack.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterable

# It belongs to no package and nothing reads it.
_LEFT_OUT = frozenset({CACHE_TAG, f"{FOLDER}{CACHE_TAG}"})
_HISTORY = b"==> made by peft-studio-engine <==\n"
# Stands for the build prefix where an installer wrote it into a script, the same on every machine.
_STAND_IN = "/peft-studio-build-prefix"
# CPython finds its own place, and conda-pack leaves the interpreter alone: it runs conda-unpack.
_INTERPRETER = re.compile(r"bin/python")
# What may hold a placeholder though nothing rewrites it, and why.
_NEVER_REWRITTEN = {
    "bin/python*": "conda-unpack leaves all of that name alone; CPython finds its own place, python3-config is C's",
    "conda-meta/*.json": "a record says which placeholders its package was built with",
}


def collect(prefix: Path, channel: str) -> list[Source]:
    """Return what the environment in `prefix` consists of, conda-unpack included.

    `channel` is the public name of the channel that was asked for, which the records of its packages get. Raises
    PrefixNotPackable where conda-pack refuses, UnmanagedFiles where the prefix holds what no package brought,
    UnsafeEntries where a pipe, a socket or a device is in it, SourceChanged where a file goes meanwhile, or is none
    any more.
    """
    try:
        return _collect(prefix, channel)
    except FileNotFoundError as error:
        raise SourceChanged(str(error.filename), "it has gone") from error


def _collect(prefix: Path, channel: str) -> list[Source]:
    try:
        files = CondaEnv.from_prefix(str(prefix), on_missing_cache="raise").files
    except CondaPackException as error:
        raise PrefixNotPackable(prefix, str(error)) from error
    files = [file for file in files if file.target not in _LEFT_OUT]
    if unmanaged := sorted(file.target for file in files if not file.is_conda):
        raise UnmanagedFiles(prefix, unmanaged)
    notes = _Notes()
    packer = Packer(str(prefix), notes)
    brought_as_files = files_of(prefix)
    for file in files:
        _check_kind(_posix(file.target), Path(file.source), is_file=_posix(file.target) in brought_as_files)
        packer.add(file)
    packer.prefixes = _holders(packer.prefixes, notes, str(prefix))
    relocated = {_posix(target) for target, _, _ in packer.prefixes}
    notes.keep_content = True  # what follows lies in temporary files that conda-pack removes at once
    packer.finish()
    owner, forbidden, brought = owners(prefix), placeholders(prefix), digests(prefix)
    found = []
    for path, note in sorted(notes.found.items()):
        package = owner.get(path, "")
        source = _source(path, note, package, channel)
        if source.at is not None:
            source = replace(source, sha256=brought.get(path, ""))
        if path in relocated:
            found.append(replace(source, relocated=True))
        elif any(fnmatchcase(path, pattern) for pattern in _NEVER_REWRITTEN):
            found.append(source)
        else:
            found.append(replace(source, forbidden=(os.fsencode(prefix), *forbidden.get(package, ()))))
    return found


def _check_kind(path: str, at: Path, *, is_file: bool) -> None:
    """Raise UnsafeEntries for what no archive holds, which to open may hang; SourceChanged for what was a file."""
    mode = at.lstat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode) or stat.S_ISDIR(mode)):
        raise UnsafeEntries(f"{path!r} is neither a file nor a link nor a folder")
    if is_file and not stat.S_ISREG(mode):
        raise SourceChanged(path, "its package brought a file, and it is none")


def _holders(prefixes: Iterable[tuple[str, str, str]], notes: _Notes, prefix: str) -> list[tuple[str, str, str]]:
    """Return those (path, placeholder, mode) that conda-unpack has to rewrite, and make their content fit for it.

    conda-pack records every text file of unknown origin: only those that hold the placeholder are rewritten.
    """
    holders = []
    for target, declared, mode in sorted(prefixes):
        path, placeholder = _posix(target), declared
        if _INTERPRETER.match(path) or not notes.source(path).holds(declared.encode()):
            continue
        if mode == "text" and declared == prefix:
            placeholder = _STAND_IN
            notes.replace(path, notes.source(path).read().replace(prefix.encode(), placeholder.encode()))
        if mode == "text" and path.endswith(".py"):
            notes.replace(path, quote_safely(notes.source(path).read(), placeholder))
        holders.append((target, placeholder, mode))
    return holders


def shortest_placeholder(prefix: Path, sources: Iterable[Source]) -> int | None:
    """Return the length in bytes of the shortest placeholder in a relocated binary, None where there is none."""
    relocated = {source.path for source in sources if source.relocated}
    lengths = [
        len(row["prefix_placeholder"].encode())
        for record in records(prefix)
        for row in rows(record)
        if row.get("file_mode") == "binary" and row["_path"] in relocated
    ]
    return min(lengths, default=None)


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

    def source(self, path: str) -> Source:
        note = self.found[path]
        return Source(path=path, package="", kind=Kind.FILE, at=note.at, content=note.content)

    def replace(self, path: str, content: bytes) -> None:
        self.found[path] = replace(self.found[path], content=content)


def _posix(target: str) -> str:
    return target.replace(os.sep, "/")


def _source(path: str, note: _Note, package: str, channel: str) -> Source:
    if note.content is None and note.at.is_symlink():
        return Source(path=path, package=package, kind=Kind.LINK, target=str(note.at.readlink()))
    if note.content is None and note.at.is_dir():
        return Source(path=path, package=package, kind=Kind.FOLDER, mode=0o755)
    content = note.content
    if path == HISTORY:
        content = _HISTORY
    elif path.startswith(FOLDER) and path.endswith(".json"):
        content = plain_record(json.loads(note.content or note.at.read_bytes()), channel)
    # Only whether it may be run is the file's own: the rest is the umask of whoever unpacked a package here.
    mode = 0o755 if note.mode & 0o111 else 0o644
    at = None if content is not None else note.at
    return Source(path=path, package=package, kind=Kind.FILE, mode=mode, at=at, content=content)
