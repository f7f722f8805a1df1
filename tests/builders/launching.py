"""The launcher as a program, small runtimes for it whose backend stays or dies as a test asks, and trees to compare."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import stat
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zstandard

from tests.builders.prefix import SITE, Package, small_packages
from tests.builders.runtime import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# It says what it is, then goes on until its standard input ends, as the real one does with --until-eof.
BACKEND = """
import contextlib, json, os, sys
if "DIE_BEFORE_LISTENING" in os.environ:
    sys.exit("ModuleNotFoundError: no module named 'torch'")
with contextlib.suppress(FileNotFoundError):
    os.unlink(os.environ["PEFT_STUDIO_ATTEMPT"])
config = open(os.path.join(os.environ["CONDA_PREFIX"], "etc/engine.conf")).read()
print(json.dumps({"event": "listening", "pid": os.getpid(), "argv": sys.argv[1:], "path": sys.path,
                  "environment": dict(os.environ), "config": config}), flush=True)
print(json.dumps({"event": "ended", "read": sys.stdin.read()}), flush=True)
"""

# Permission bits mean nothing to root until it gives these two capabilities up (capabilities(7)).
_IS_ROOT = sys.platform != "win32" and os.geteuid() == 0
_UNPRIVILEGED = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if _IS_ROOT else []


def packages(version: str = "1.0", ballast: int = 300_000) -> list[Package]:
    """Return a small runtime's packages, with a backend that stays until its standard input ends."""
    return [
        dataclasses.replace(package, files={**package.files, f"{SITE}/backend/__main__.py": BACKEND})
        if package.name == "peft-studio-backend"
        else package
        for package in small_packages(version, ballast)
    ]


def gated_packages(gate: Path) -> list[Package]:
    """Return a small runtime's packages, with an interpreter that waits at `gate`, while that is a pipe.

    conda-unpack is then as slow as the test wants.
    """
    return [
        dataclasses.replace(
            package, files={**package.files, "bin/python3.11": _gated(package.files["bin/python3.11"], gate)}
        )
        if package.name == "python"
        else package
        for package in packages()
    ]


def _gated(interpreter: str | bytes, gate: Path) -> str:
    assert isinstance(interpreter, str)
    first, rest = interpreter.split("\n", 1)
    return f'{first}\nif [ -p "{gate}" ]; then read line < "{gate}"; fi\n{rest}'


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a launcher said, and how it ended."""

    status: int
    events: list[dict[str, Any]]
    talk: str

    def last(self, event: str) -> dict[str, Any]:
        """Return the last event of a kind."""
        return [found for found in self.events if found.get("event") == event][-1]

    @property
    def states(self) -> list[str]:
        """What the surveys found."""
        return [found["state"] for found in self.events if found.get("event") == "survey"]

    @property
    def code(self) -> str:
        """The error's code."""
        return str(self.last("failed")["code"])


def command(resources: Path, home: Path, *arguments: str) -> list[str]:
    """Return the command line of the launcher, run from source, with events as JSON."""
    program = [*_UNPRIVILEGED, sys.executable, "-m", "launcher"]
    return [*program, "--json", "--resources", str(resources), "--home", str(home), *arguments]


def ask(
    resources: Path, home: Path, *arguments: str, environment: Mapping[str, str] | None = None, umask: int = -1
) -> Answer:
    """Run the launcher to its end, with nothing on standard input."""
    run = subprocess.run(
        command(resources, home, *arguments),
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        umask=umask,
    )
    return Answer(run.returncode, [json.loads(line) for line in run.stdout.splitlines()], run.stderr)


@contextmanager
def running(
    resources: Path,
    home: Path,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    stdout: int = subprocess.PIPE,
) -> Iterator[subprocess.Popen[str]]:
    """Start the launcher with pipes; whatever it has become is killed in the end."""
    with subprocess.Popen(
        command(resources, home, *arguments),
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(process: subprocess.Popen[str], event: str, **facts: object) -> dict[str, Any]:
    """Read events until the one that is asked for, and return it."""
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        found: dict[str, Any] = json.loads(line)
        if found.get("event") == event and found.items() >= facts.items():
            return found
        seen.append(line)
    assert process.stderr is not None
    raise AssertionError(f"no {event} among {''.join(seen)}\n{process.stderr.read()}")


def tree(folder: Path) -> dict[str, tuple[str, int, str]]:
    """Return every file, link and folder below `folder`: kind, mode, and the content's sha256 or the target."""
    found = {}
    for place, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = Path(place) / name
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                what = ("link", 0, str(path.readlink()))
            elif stat.S_ISDIR(mode):
                what = ("folder", stat.S_IMODE(mode), "")
            else:
                what = ("file", stat.S_IMODE(mode), hashlib.sha256(path.read_bytes()).hexdigest())
            found[path.relative_to(folder).as_posix()] = what
    return found


def untar(resources: Path, folder: Path) -> Path:
    """Unpack the archive's parts as anybody would: concatenated, through zstd, by tar."""
    folder.mkdir(parents=True)
    packed = b"".join(part.read_bytes() for part in sorted(resources.glob("runtime.tar.zst*")))
    with zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True) as stream:
        subprocess.run(["tar", "-xp", "-C", folder], input=stream.read(), check=True)
    return folder
