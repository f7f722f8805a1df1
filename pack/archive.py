"""Build prefix → archive, index, manifest, SBOM and licences, in one folder."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from typing import TYPE_CHECKING

import zstandard

from launcher.manifest import MANIFEST_NAME, Kind, Manifest, Part
from launcher.paths import check_paths
from launcher.room import room
from pack.activation import record_activation
from pack.bytecode import with_bytecode
from pack.condapack import collect, shortest_placeholder
from pack.errors import UnsafeEntries
from pack.floor import floor_of, least_of
from pack.folder import replaced
from pack.licenses import write_licenses
from pack.parts import PART_SIZE, too_many
from pack.progress import one_step
from pack.records import public_name, records
from pack.sbom import write_sbom
from pack.write import LEVEL, write_archive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime
    from pathlib import Path

    from launcher.manifest import Entry, Index
    from launcher.platforms import Platform
    from pack.progress import Progress
    from pack.source import Source
    from pack.tools import Tool

# What the backend cannot do without: their versions stand in the manifest, and verify imports them.
CRITICAL = ("python", "pytorch", "transformers", "peft", "fastapi", "uvicorn")
INDEX_NAME = "index.json.zst"
LARGEST_HEADER = 16 * 1024  # bytes of the manifest: what each start reads


def build_archive(
    prefix: Path,
    folder: Path,
    *,
    platform: Platform,
    accelerator: str,
    channel: str,
    lock: str,
    version: str,
    created_at: datetime,
    cache: Path,
    machine_folders: Sequence[Path],
    leave_out: Callable[[Sequence[Source]], list[Source]],
    find_core: Callable[[Sequence[Source]], frozenset[str]],
    progress: Progress,
    stub_needs: Sequence[str] = (),
    stub_tools: Sequence[Tool] = (),
    level: int = LEVEL,
    part_size: int = PART_SIZE,
) -> Manifest:
    """Pack the environment in `prefix` into `folder`, whole or not at all; return its manifest.

    `lock` is the lock's sha256, `created_at` a time of UTC, `cache` holds bytecode between builds, `machine_folders`
    are places that exist on this machine alone and must not occur in any entry, `leave_out` returns the sources that
    travel, `find_core` names the paths that come first, `stub_needs` what the stub asks of the system beyond the
    packages, in their words, `stub_tools` what it has in it beside them.

    Raises SpecInvalid, PrefixNotPackable, UnmanagedFiles, UnsafeEntries, MachinePathFound, PlaceholderLeft,
    SourceChanged, ProgramFailed.
    """
    channel = public_name(channel)
    with one_step(progress, "collect"):
        sources = leave_out(collect(prefix, channel))
    _refuse_unsafe(sources, platform)
    placeholder = shortest_placeholder(prefix, sources)
    sources = with_bytecode(sources, prefix / platform.python, cache, progress)
    with one_step(progress, "core"):
        core = find_core(sources)
    with replaced(folder) as unfinished:
        written = write_archive(
            sources,
            unfinished,
            core=core,
            machine_paths=[os.fsencode(place) for place in machine_folders],
            progress=progress,
            level=level,
            part_size=part_size,
        )
        packages = records(prefix)
        asked = [words for record in packages for key in ("depends", "constrains") for words in record.get(key, ())]
        manifest = Manifest(
            runtime=runtime_id(written.index.entries),
            version=version,
            platform=platform,
            accelerator=accelerator,
            created_at=created_at.isoformat().replace("+00:00", "Z"),
            channel=channel,
            lock=lock,
            packages={record["name"]: record["version"] for record in packages if record["name"] in CRITICAL},
            environment=record_activation(prefix, sources, platform),
            floor=floor_of(least_of((*asked, *stub_needs), accelerator)),
            placeholder=placeholder,
            longest_path=max(len(entry.path) for entry in written.index.entries),
            disk=room(written.index.entries),
            entries=len(written.index.entries),
            core=len(core),
            parts=written.parts,
            index=_write_index(written.index, unfinished),
        )
        text = json.dumps(manifest.to_dict(), indent=1) + "\n"
        if len(text.encode()) > LARGEST_HEADER:
            count = f"{len(written.parts)} parts of {part_size} bytes"
            raise too_many(MANIFEST_NAME, f"name {count} and be larger than {LARGEST_HEADER} bytes")
        (unfinished / MANIFEST_NAME).write_text(text, encoding="utf-8", newline="\n")
        write_sbom(unfinished, manifest, packages, stub_tools)
        write_licenses(unfinished, packages, stub_tools)
    return manifest


def machine_folders(build: Path) -> list[Path]:
    """Return the places of this machine that must not travel: the build folder, and the interpreter's own.

    A system's interpreter lives in /usr, which every machine has.
    """
    interpreter = type(build)(sys.base_prefix)
    return [build, *([] if interpreter == type(build)("/usr") else [interpreter])]


def runtime_id(entries: Iterable[Entry]) -> str:
    """Return the digest that names a runtime: of what its entries are, wherever they lie in an archive."""
    digest = hashlib.sha256()
    for identity in sorted(entry.identity() for entry in entries):
        digest.update(json.dumps(identity).encode() + b"\n")
    return digest.hexdigest()


def _refuse_unsafe(sources: Iterable[Source], platform: Platform) -> None:
    """Raise UnsafeEntries for what the launcher would refuse to write: the reader's own check, before a byte is."""
    if reason := check_paths(((s.path, s.kind is Kind.FOLDER, s.target) for s in sources), platform):
        raise UnsafeEntries(reason)


def _write_index(index: Index, folder: Path) -> Part:
    content = json.dumps(index.to_dict(), separators=(",", ":")).encode()
    packed = zstandard.ZstdCompressor(level=19).compress(content)
    (folder / INDEX_NAME).write_bytes(packed)
    return Part(name=INDEX_NAME, size=len(packed), sha256=hashlib.sha256(packed).hexdigest())
