"""What others do at a first start, and at each: the other side of tests/bench_launcher.py."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from launcher.platforms import Platform
from launcher.resources import Resources

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

HERE = Platform.current()
# As conda-pack compresses, whatever it is asked for: docs/benchmarks.md has the sizes and times of its own archives.
FORMATS = {"tar.gz": ("gzip -4", ["-xzf"]), "tar.zst": ("zstd -9 -T0", ["--zstd", "-xf"])}
ONLY_EXECS = """
import os
print("starting", flush=True)
os.execv("/bin/true", ["true"])
"""


@dataclass(frozen=True)
class Run:
    """What programs took, one after the other: seconds to the end of `sync`, and the most memory of one in MiB."""

    seconds: float
    memory: float


@dataclass(frozen=True)
class Peer:
    """A way to install a runtime into a folder that does not exist yet."""

    name: str
    install: Callable[[Path], Run]


def run(*command: str | Path) -> Run:
    """Run a program from a quiet disk to a quiet disk."""
    return run_all([command])


def run_all(commands: Sequence[Sequence[str | Path]]) -> Run:
    """Run programs one after the other, from a quiet disk to a quiet disk."""
    os.sync()
    began, memory = time.monotonic(), 0.0
    for command in commands:
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, [str(word) for word in command])
        memory = max(memory, usage.ru_maxrss / 1024)
    os.sync()
    return Run(time.monotonic() - began, memory)


def peers(resources: Path, wheels: Path, folder: Path) -> list[Peer]:
    """Return the other ways to install: from archives of the very tree of `resources`, made in `folder` where missing.

    uv is one of them where there are wheels.
    """
    manifest = Resources.open(resources, HERE).manifest
    parts = [resources / part.name for part in manifest.parts]
    found = []
    for suffix, (compress, extract) in FORMATS.items():
        archive = folder / f"{manifest.slot_name}.{suffix}"
        if not archive.exists():
            script = f'cat "$@" | zstd -dc | {compress} > {archive.name}.new && mv {archive.name}.new {archive.name}'
            subprocess.run(["bash", "-o", "pipefail", "-c", script, "bash", *parts], cwd=folder, check=True)
        way = f"{suffix} as conda-pack makes it: tar {' '.join(extract)}, conda-unpack"
        found.append(Peer(way, partial(untar, archive, extract)))
    if packed := sorted(wheels.glob("*.whl")):
        found.append(Peer("uv venv, uv pip install from wheels", partial(install_wheels, packed)))
    return found


def untar(archive: Path, extract: Sequence[str], folder: Path) -> Run:
    folder.mkdir()
    unpack = [folder / HERE.python, folder / HERE.scripts / "conda-unpack"]
    return run_all([["tar", *extract, archive, "-C", folder], unpack])


def install_wheels(wheels: Sequence[Path], folder: Path) -> Run:
    uv = [sys.executable, "-m", "uv", "--offline", "--no-cache", "--quiet"]
    how = ["pip", "install", "--no-index", "--no-deps", "--link-mode", "copy", "--python"]
    return run_all([[*uv, "venv", "--python", sys.executable, folder], [*uv, *how, folder, *wheels]])


def onefile_stub(folder: Path) -> Path:
    """Freeze a program into a single file, as PyInstaller does it unasked, which only becomes another program."""
    (folder / "only_execs.py").write_text(ONLY_EXECS)
    freeze = [sys.executable, "-m", "PyInstaller", "--onefile", "--log-level", "ERROR"]
    places = [f"--distpath={folder / 'dist'}", f"--workpath={folder / 'work'}", f"--specpath={folder}"]
    subprocess.run([*freeze, *places, str(folder / "only_execs.py")], capture_output=True, check=True)
    return folder / "dist" / "only_execs"


def seconds_to_first_line(command: Sequence[str | Path]) -> float:
    """Return how long a program takes to say something, which this one does right before its exec."""
    began = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        return time.monotonic() - began
