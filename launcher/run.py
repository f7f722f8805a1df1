"""Become the backend, and leave a second launcher behind it where the rest of the runtime is outstanding."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from launcher.environ import backend_environment, launcher_environment
from launcher.errors import BlockedBySystem
from launcher.events import Starting

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    from launcher.cli import Request
    from launcher.whole import Scene


def backend_command(scene: Scene, request: Request) -> list[str]:
    """Return the backend's command line; `--data-dir` is the home's unless its arguments have one."""
    command = [str(scene.slot / scene.platform.python), "-m", "backend"]
    if not any(argument.split("=")[0] == "--data-dir" for argument in request.backend_arguments):
        command += ["--data-dir", str(scene.home.user_files)]
    command += ["--json"] if request.as_json else []
    command += ["--until-eof"] if request.until_eof else []
    return [*command, *request.backend_arguments]


def finish_behind(scene: Scene) -> None:
    """Start a second launcher, which installs the rest and ends with the backend that this process becomes.

    Raises BlockedBySystem where the system refuses.
    """
    from launcher.host import spawn_behind

    frozen = getattr(sys, "frozen", False)
    program = [sys.executable] if frozen else [sys.executable, "-m", "launcher"]
    places = ["--resources", str(scene.resources.folder), "--home", str(scene.home.root)]
    command = [*program, "--install", "--until-eof", "--quiet", *places]
    try:
        spawn_behind(command, launcher_environment(scene.environment))
    except OSError as error:
        raise BlockedBySystem(Path(sys.executable), error.strerror or str(error)) from error


def become_backend(command: Sequence[str], scene: Scene) -> NoReturn:
    """Say `starting` and exec the backend; raise BlockedBySystem where the system refuses."""
    from launcher.host import become

    scene.report.say(Starting(list(command)))
    try:
        become(command, backend_environment(scene.environment, scene.slot, scene.home, scene.manifest))
    except OSError as error:
        raise BlockedBySystem(scene.slot / scene.platform.python, error.strerror or str(error)) from error
