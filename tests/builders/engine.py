"""Start the staged engine as the app does: the launcher, which becomes the backend; and build it where it is not."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from launcher.platforms import Platform
from pack.errors import WrongAccelerator
from pack.parts import PART_SIZE
from pack.pipeline import Act, run
from pack.spec import ACCELERATORS, LOCAL, Accelerator, Spec
from pack.workspace import Workspace
from pack.write import LEVEL
from tests.builders.backend import REPOSITORY, TOKEN, Backend, end

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pack.progress import Progress


def workspace_of_wheels(accelerator: Accelerator | None = None) -> Workspace:
    """Return the workspace of a build from Python wheels alone, for this machine."""
    platform = Platform.current()
    kind = accelerator or ACCELERATORS[platform][-1]
    spec = Spec.from_path(REPOSITORY / "environment.yml", platform=platform, accelerator=kind)
    return Workspace(project=REPOSITORY, spec=spec, channel=LOCAL, locked=False, level=LEVEL, part_size=PART_SIZE)


def build_engine(last: Act, progress: Progress, done: Callable[[Act], None] = lambda _: None) -> Workspace:
    """Build from wheels up to `last`, with the torch that this machine's pip has, and return the workspace.

    The smaller build is asked for first; where pip has the other one only, that is said, and built.
    """
    workspace = workspace_of_wheels()
    try:
        run(workspace, last, progress, done)
    except WrongAccelerator as error:
        other = next(kind for kind in ACCELERATORS[workspace.platform] if kind is not workspace.accelerator)
        print(f"{error.message} Building for {other}.", flush=True)
        workspace = replace(workspace, spec=workspace_of_wheels(other).spec)
        run(workspace, last, progress, done)
    return workspace


def launch_engine(
    program: Path | str,
    home: Path | str,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    before: Sequence[str] = (),
) -> Backend:
    """Start the launcher with `--json --until-eof` and return at once; `before` are words before its own, as chroot's.

    The environment holds what is given and a token, nothing of this process's.
    """
    with tempfile.NamedTemporaryFile("w", prefix="engine-", suffix=".stderr", delete=False) as errors:
        process = subprocess.Popen(
            [*before, str(program), "--json", "--until-eof", "--home", str(home), *arguments],
            env={"PEFT_STUDIO_TOKEN": TOKEN, **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    return Backend(process, Path(home, "data"), Path(errors.name), TOKEN)


def read_events(engine: Backend) -> list[dict[str, Any]]:
    """Return the events up to the first that ends a start: `listening`, `failed`, or the end of the stream."""
    assert engine.process.stdout is not None
    events = []
    for line in engine.process.stdout:
        events.append(json.loads(line))
        if events[-1]["event"] in {"listening", "failed"}:
            break
    return events


@contextmanager
def running_engine(
    program: Path | str, home: Path | str, *arguments: str, **how: Any
) -> Iterator[tuple[Backend, list[dict[str, Any]]]]:
    """Give an engine that listens and its events; afterwards it is gone, whatever happened."""
    engine = launch_engine(program, home, *arguments, **how)
    try:
        events = read_events(engine)
        assert events, f"no event; stderr:\n{engine.stderr.read_text()}"
        assert events[-1]["event"] == "listening", events[-1]
        engine.listening = events[-1]
        yield engine, events
    finally:
        end(engine)


def close(engine: Backend) -> int:
    """End an engine as the app does, by closing its stdin; return its exit status."""
    assert engine.process.stdin is not None
    assert engine.process.stdout is not None
    engine.process.stdin.close()
    engine.process.stdout.read()
    return engine.wait()


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files of a folder; a file under two names counts once."""
    if path.is_file():
        return path.stat().st_size
    found = {}
    for folder, _, names in os.walk(path):
        for name in names:
            status = Path(folder, name).lstat()
            found[status.st_ino] = status.st_size
    return sum(found.values())
