"""Become the backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launcher.environ import backend_environment
from launcher.errors import BlockedBySystem
from launcher.events import Starting

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import NoReturn

    from launcher.home import Home
    from launcher.platforms import Platform
    from launcher.report import Report


def backend_command(
    slot: Path, home: Home, platform: Platform, *, as_json: bool, until_eof: bool, arguments: Sequence[str]
) -> list[str]:
    """Return the backend's command line; `--data-dir` is the home's unless `arguments` have one."""
    command = [str(slot / platform.python), "-m", "backend"]
    if not any(argument.split("=")[0] == "--data-dir" for argument in arguments):
        command += ["--data-dir", str(home.user_files)]
    command += ["--json"] if as_json else []
    command += ["--until-eof"] if until_eof else []
    return [*command, *arguments]


def become_backend(
    command: Sequence[str],
    slot: Path,
    home: Home,
    platform: Platform,
    environment: Mapping[str, str],
    report: Report,
) -> NoReturn:
    """Say `starting` and exec the backend; raise BlockedBySystem where the system refuses."""
    from launcher.host import become

    report.say(Starting(list(command)))
    try:
        become(command, backend_environment(environment, slot, home.root, platform))
    except OSError as error:
        raise BlockedBySystem(slot / platform.python, error.strerror or str(error)) from error
