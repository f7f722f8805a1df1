"""PyInstaller: launcher → peft_engine, one folder, with the manifest's digest frozen inside."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from importlib.metadata import distribution, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from pack.archive import machine_folders
from pack.elf import blank, least_glibc, set_rpath
from pack.errors import ProgramFailed
from pack.folder import replaced
from pack.progress import one_step
from pack.tools import TOOLS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from launcher.platforms import Platform
    from pack.progress import Progress

_SPEC = Path(__file__).with_name("launcher.spec")
# Nothing that the imports make is garbage that would be worth looking for at each start.
_ENTRY = """\
import gc

gc.disable()
from launcher.__main__ import run

gc.enable()
run()
"""
_RELEASE = 'VERSION = "{version}"\nMANIFEST_SHA256 = "{digest}"\n'


def build_stub(
    sources: Path, manifest: Path, folder: Path, *, python: Path, platform: Platform, release: str, progress: Progress
) -> Path:
    """Freeze the launcher in `sources` for `manifest` under `folder`; return the program's folder.

    It is frozen with the interpreter `python`, the build prefix's own, so that stub and runtime ask for one glibc;
    PyInstaller and what the launcher imports are this process's. A stub of the same sources, manifest and tools that
    is there already is used again; others go, since no archive is left that they were made for. Raises ProgramFailed.
    """
    digest = hashlib.sha256(manifest.read_bytes()).hexdigest()
    place = folder / _key(sources, digest, release)
    if (place / platform.program).exists():
        return place
    with one_step(progress, "stub"), replaced(folder) as unfinished:
        work = unfinished / "work"
        work.mkdir()
        (work / "entry.py").write_text(_ENTRY, encoding="utf-8")
        (work / "peft_engine_release.py").write_text(_RELEASE.format(version=release, digest=digest), encoding="utf-8")
        _freeze(sources, work, python)
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
    return place


def needs_of_tools(platform: Platform) -> list[str]:
    """Return what a stub's own programs ask of the system, those that come from no package of the build prefix."""
    if not platform.startswith("linux"):
        return []
    from PyInstaller import HOMEPATH, PLATFORM

    bootloader = Path(HOMEPATH, "PyInstaller", "bootloader", PLATFORM, "run")
    zstandard = find_spec("zstandard.backend_c")
    assert zstandard is not None
    assert zstandard.origin is not None
    return [f"__glibc >={least_glibc([bootloader, Path(zstandard.origin)])}"]


def _freeze(sources: Path, work: Path, python: Path) -> None:
    options: list[str | Path] = ["--noconfirm", "--log-level", "WARN", "--distpath", work, "--workpath", work / "steps"]
    _run([python, "-m", "PyInstaller", *options, _SPEC, "--", sources, work], work, "PyInstaller")


def _run(command: Sequence[str | Path], work: Path, what: str) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(str(distribution(name).locate_file("")) for name in TOOLS)),
        # What is in a build prefix travels.
        "PYTHONDONTWRITEBYTECODE": "1",
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
    """Return a name for what a stub is made of; the manifest's digest stands for the build prefix too."""
    tools = [(name, version(name)) for name in TOOLS]
    key = hashlib.sha256(f"{digest} {release} {tools}".encode() + Path(__file__).read_bytes() + _SPEC.read_bytes())
    for path in sorted((sources / "launcher").rglob("*.py")):
        key.update(path.relative_to(sources).as_posix().encode() + b"\0" + path.read_bytes())
    return key.hexdigest()[:16]
