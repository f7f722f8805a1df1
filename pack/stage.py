"""Everything → dist/<platform>/resources/, the folder that Electron's builder copies."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

from launcher.resources import file_digest
from pack.folder import plain_mode, replaced

if TYPE_CHECKING:
    from pathlib import Path

    from launcher.manifest import Manifest
    from launcher.platforms import Platform
    from pack.progress import Progress

ENGINE_NAME = "engine.json"
_ELECTRON_NAMES = {"linux": "linux", "osx": "darwin", "win": "win32"}  # process.platform, as Electron spells it


def stage(archive: Path, stub: Path, manifest: Manifest, resources: Path, progress: Progress) -> None:
    """Bring the archive and the stub together in `resources`, whole or not at all; engine.json is written last.

    An installer may keep modes, and another user than the builder runs what it installs: all of it is for all to read.
    """
    with replaced(resources) as unfinished:
        shutil.copytree(stub, unfinished, symlinks=True, dirs_exist_ok=True)
        files = sorted(path for path in archive.rglob("*") if path.is_file())
        for number, path in enumerate(files):
            progress("stage", number, len(files))
            place = unfinished / path.relative_to(archive)
            place.parent.mkdir(parents=True, exist_ok=True)
            # A copy, never a second name: whoever edits the staged files must not edit the archive they came from.
            shutil.copyfile(path, place)
        progress("stage", len(files), len(files))
        write_engine(unfinished, manifest)
        for path in (unfinished, *unfinished.rglob("*")):
            if not path.is_symlink():
                path.chmod(plain_mode(path.stat().st_mode, is_folder=path.is_dir()))


def write_engine(folder: Path, manifest: Manifest) -> None:
    """Write engine.json for the launcher in `folder`; once more after it was signed."""
    program = folder / manifest.platform.program
    engine = {
        "path": program.name,
        "platform": electron_platform(manifest.platform),
        "version": manifest.version,
        "size": program.stat().st_size,
        "checksum": file_digest(program),
        "createdAt": manifest.created_at,
    }
    (folder / ENGINE_NAME).write_text(json.dumps(engine, indent=1) + "\n", encoding="utf-8", newline="\n")


def electron_platform(platform: Platform) -> str:
    """Return what `process.platform` says on this platform."""
    return _ELECTRON_NAMES[platform.split("-")[0]]
