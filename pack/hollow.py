"""An archive of which only the core can be read: a first start from it stays at the core."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from launcher.manifest import MANIFEST_NAME, Kind, Manifest
from launcher.resources import Resources

if TYPE_CHECKING:
    from pathlib import Path


def hollow_resources(resources: Path, manifest: Manifest, folder: Path) -> tuple[Path, list[str]]:
    """Copy manifest, index and archive to `folder`, with zeros for every frame behind the core's.

    Returns the folder, and the paths of the entries that cannot come from it. Raises OSError.
    """
    index = Resources(resources, b"", manifest).read_index()
    rest = index.entries[manifest.core :]
    missing = [entry for entry in rest if entry.kind is Kind.FILE and entry.size]
    readable = min((index.frames[entry.frame].offset for entry in missing), default=None)
    folder.mkdir()
    for name in (MANIFEST_NAME, manifest.index.name):
        shutil.copyfile(resources / name, folder / name)
    begin = 0
    for part in manifest.parts:
        with (resources / part.name).open("rb") as source, (folder / part.name).open("wb") as copy:
            left = part.size if readable is None else min(part.size, max(0, readable - begin))
            while left and (chunk := source.read(min(left, 1 << 20))):
                copy.write(chunk)
                left -= len(chunk)
            copy.truncate(part.size)
        begin += part.size
    return folder, [entry.path for entry in missing]
