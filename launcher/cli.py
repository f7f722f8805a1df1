"""argv → Request."""

from __future__ import annotations

import argparse
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from launcher.errors import WrongCommandLine
from launcher.value import Value

if TYPE_CHECKING:
    from collections.abc import Sequence

_ABOUT = """\
Installs and starts the engine of PEFT Studio. Without an option it unpacks the engine on the first start
and becomes the backend; every later start is instant. Needs neither Python nor the network."""
_EXAMPLES = """\
examples:
  peft_engine                       start the backend, installing it first where needed
  peft_engine --status              is it installed, where, and what is wrong with it
  peft_engine --repair              it does not start, or says install-damaged: mend it, without a download
  peft_engine --move-home D:\\studio  the disk is full: move the engine and your work to another one
  peft_engine --support-report peft-studio.zip
                                    nothing helps: make a file for support; no names, secrets or data in it
  peft_engine -- --port 8001        start the backend with arguments of its own

exit status: 0 all is well; 2 a wrong command line; 80-99 an error with a code, a message and a remedy;
130 interrupted, finished work is kept; 70 a bug."""


class Act(StrEnum):
    """What is asked for."""

    RUN = "run"
    INSTALL = "install"
    VERIFY = "verify"
    REPAIR = "repair"
    STATUS = "status"
    REMOVE = "remove"
    SUPPORT_REPORT = "support-report"
    MOVE_HOME = "move-home"


class Request(Value, kw_only=True):
    """A command line, understood."""

    act: Act
    move_to: Path | None
    report_file: Path | None
    resources: Path | None
    home: Path | None
    user_files_too: bool
    others_only: bool
    until_eof: bool
    as_json: bool
    quiet: bool
    traceback: bool
    backend_arguments: tuple[str, ...]


def parse(arguments: Sequence[str], version: str) -> Request:
    """Return what the arguments ask for; end the program for --help and --version; raise WrongCommandLine."""
    arguments = list(arguments)
    cut = _cut(arguments)
    parser = _parser(version)
    found = parser.parse_args(arguments[:cut])
    act = Act.MOVE_HOME if found.move_home else Act.SUPPORT_REPORT if found.support_report else found.act
    for name in ("all", "others"):
        if getattr(found, name) and act != Act.REMOVE:
            parser.error(f"--{name} goes with --remove")
    backend_arguments = tuple(arguments[cut + 1 :])
    if backend_arguments and act != Act.RUN:
        parser.error("arguments after -- are the backend's: they go with no other act")
    return Request(
        act=act,
        move_to=found.move_home,
        report_file=found.support_report,
        resources=found.resources,
        home=found.home,
        user_files_too=found.all,
        others_only=found.others,
        until_eof=found.until_eof,
        as_json=found.json,
        quiet=found.quiet,
        traceback=found.traceback,
        backend_arguments=backend_arguments,
    )


def asks_for_json(arguments: Sequence[str]) -> bool:
    """Whether a command line that cannot be understood asks for events all the same."""
    return "--json" in arguments[: _cut(arguments)]


def _cut(arguments: Sequence[str]) -> int:
    """Return where the launcher's own arguments end."""
    return arguments.index("--") if "--" in arguments else len(arguments)


class _Parser(argparse.ArgumentParser):
    """A parser that lets others say what is wrong, and end the program."""

    def error(self, message: str) -> NoReturn:
        raise WrongCommandLine(message, f"{self.format_usage()}{self.prog}: error: {message}")


def _folder(text: str) -> Path:
    """Return a folder; an empty name, as an unset variable of a script gives it, is none."""
    if not text:
        raise argparse.ArgumentTypeError("an empty name is no folder")
    return Path(text)


def _parser(version: str) -> argparse.ArgumentParser:
    parser = _Parser(
        prog="peft_engine",
        usage="%(prog)s [OPTIONS] [-- BACKEND ARGUMENTS]",
        description=_ABOUT,
        epilog=_EXAMPLES,
        # One line for each option, on the phone too.
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, max_help_position=26, width=110),
        allow_abbrev=False,
    )
    parser.set_defaults(act=Act.RUN)
    acts = parser.add_argument_group("acts").add_mutually_exclusive_group()
    for act, text in (
        (Act.INSTALL, "install if needed, then exit"),
        (Act.VERIFY, "check every file; changes nothing"),
        (Act.REPAIR, "check every file and restore what is damaged, missing or moved, from the app itself"),
        (Act.STATUS, "what is installed, where, how big, is it ready, does it run"),
        (Act.REMOVE, "remove the engine; your work stays"),
    ):
        acts.add_argument(f"--{act}", dest="act", action="store_const", const=act, help=text)
    acts.add_argument(
        "--support-report",
        type=_folder,
        metavar="FILE",
        help="write a zip for support: no names, secrets or data in it",
    )
    acts.add_argument(
        "--move-home", type=_folder, metavar="DIR", help="move the engine and your work to DIR, and find them there"
    )
    extent = parser.add_mutually_exclusive_group()
    extent.add_argument("--all", action="store_true", help="with --remove: your work too, after asking")
    extent.add_argument("--others", action="store_true", help="with --remove: only the engines of other versions")
    places = parser.add_argument_group("places")
    places.add_argument(
        "--resources", type=_folder, metavar="DIR", help="manifest and archive (default: beside the program)"
    )
    places.add_argument(
        "--home",
        type=_folder,
        metavar="DIR",
        help="where runtimes live (default: PEFT_STUDIO_HOME, then the user's data folder)",
    )
    talk = parser.add_argument_group("conversation")
    talk.add_argument(
        "--json", action="store_true", help="events as JSON lines on stdout; the backend goes on with them"
    )
    talk.add_argument("--quiet", action="store_true", help="say nothing but answers and errors")
    talk.add_argument("--traceback", action="store_true", help="show where in the program an error came up")
    parser.add_argument("--until-eof", action="store_true", help="end when standard input ends; the backend too")
    parser.add_argument(
        "--version", action="version", version=f"peft_engine {version} (Python {sys.version.split()[0]})"
    )
    return parser
