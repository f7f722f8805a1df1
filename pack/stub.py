"""PyInstaller: launcher → peft_engine, one folder, with the manifest's digest frozen inside."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from pack.archive import machine_folders
from pack.elf import blank, set_rpath
from pack.errors import ProgramFailed
from pack.folder import replaced

if TYPE_CHECKING:
    from collections.abc import Sequence

    from launcher.platforms import Platform
    from pack.progress import Progress

_ENTRY = "from launcher.__main__ import run\n\nrun()\n"
_RELEASE = 'VERSION = "{version}"\nMANIFEST_SHA256 = "{digest}"\n'
# What the standard library or zstandard would draw in and no launcher ever imports. OpenSSL's libcrypto stays: its
# sha256 is several times as fast as Python's own.
_EXCLUDED = (
    "_bz2", "_cffi_backend", "_codecs_cn", "_codecs_hk", "_codecs_iso2022", "_codecs_jp", "_codecs_kr", "_codecs_tw",
    "_curses", "_decimal", "_lzma", "_pydecimal", "_ssl", "_tkinter", "asyncio", "bz2", "cffi", "curses", "decimal",
    "doctest", "email", "http", "lzma", "multiprocessing", "numpy", "pdb", "pydoc", "pydoc_data", "readline",
    "setuptools", "sqlite3", "ssl", "tkinter", "unittest", "xml", "zstandard._cffi", "zstandard.backend_cffi",
)  # fmt: skip


def build_stub(
    sources: Path, manifest: Path, folder: Path, *, platform: Platform, release: str, progress: Progress
) -> Path:
    """Freeze the launcher in `sources` for `manifest` under `folder`; return the program's folder.

    A stub of the same sources, manifest and tools that is there already is used again; others go, since no archive is
    left that they were made for. Raises ProgramFailed.
    """
    digest = hashlib.sha256(manifest.read_bytes()).hexdigest()
    place = folder / _key(sources, digest, release)
    if (place / platform.program).exists():
        return place
    progress("stub", 0, 1)
    with replaced(folder) as unfinished:
        work = unfinished / "work"
        work.mkdir()
        (work / "entry.py").write_text(_ENTRY, encoding="utf-8")
        (work / "peft_engine_release.py").write_text(_RELEASE.format(version=release, digest=digest), encoding="utf-8")
        _freeze(sources, work)
        if platform.startswith("linux"):
            # PyInstaller's bootloader needs zlib, which a user's machine may lack, and does not look where it ships
            # its own. Another one on the user's LD_LIBRARY_PATH would end it before its first instruction.
            set_rpath(work / "peft_engine" / platform.program, "$ORIGIN/_internal", before_environment=True)
            for library in (work / "peft_engine" / "_internal").rglob("*.so*"):
                blank(library, [str(folder) for folder in machine_folders(sources)])
        # PyInstaller only warns of a module that it did not find: what was frozen has to show that it starts.
        _run([work / "peft_engine" / platform.program, "--version"], work, "The frozen launcher")
        (work / "peft_engine").rename(unfinished / place.name)
        shutil.rmtree(work)
    progress("stub", 1, 1)
    return place


def _freeze(sources: Path, work: Path) -> None:
    strip = [] if sys.platform == "win32" else ["--strip"]
    excluded = [option for module in _EXCLUDED for option in ("--exclude-module", module)]
    options = [
        "--onedir",
        "--console",
        "--noconfirm",
        "--log-level",
        "WARN",
        "--name",
        "peft_engine",
        *strip,
        *excluded,
    ]
    paths = ["--paths", str(sources), "--paths", str(work), "--hidden-import", "peft_engine_release"]
    places = ["--distpath", str(work), "--workpath", str(work / "steps"), "--specpath", str(work)]
    _run([sys.executable, "-m", "PyInstaller", *options, *paths, *places, work / "entry.py"], work, "PyInstaller")


def _run(command: Sequence[str | Path], work: Path, what: str) -> None:
    environment = {
        **os.environ,
        # Both make two freezes of the same sources give the same files.
        "PYTHONHASHSEED": "0",
        "SOURCE_DATE_EPOCH": os.environ.get("SOURCE_DATE_EPOCH", "315532800"),
        # It would keep stripped libraries in the home of whoever builds.
        "PYINSTALLER_CONFIG_DIR": str(work / "cache"),
    }
    # In a folder without Python sources: `-m` would find those of the working directory before ours.
    run = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, check=False)
    if run.returncode:
        raise ProgramFailed(what, run.returncode, run.stdout + run.stderr)


def _key(sources: Path, digest: str, release: str) -> str:
    """Return a name for what a stub is made of."""
    key = hashlib.sha256(f"{digest} {release} {sys.version} {version('pyinstaller')} {_EXCLUDED}".encode())
    key.update(Path(__file__).read_bytes())
    for path in sorted((sources / "launcher").rglob("*.py")):
        key.update(path.relative_to(sources).as_posix().encode() + b"\0" + path.read_bytes())
    return key.hexdigest()[:16]
