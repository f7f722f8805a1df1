"""argv → what to build."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from launcher.platforms import Platform
from pack.parts import PART_SIZE
from pack.pipeline import Act
from pack.spec import LOCAL, Accelerator
from pack.workspace import CONDA_FORGE
from pack.write import LEVEL, RELEASE_LEVEL

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_ABOUT = """\
Builds what PEFT Studio's installer carries: an archive of the pinned environment and the launcher that unpacks it.
Each act does all that come before it; what has not changed is not made again.
`nox -s "ACT(PLATFORM)" -- OPTIONS` does the same, and installs the tools for it.

  channel   a local conda channel: the backend, and what the other channels lack (--channel local: everything)
  lock      the exact packages, solved from environment.yml: pack/locks/ for conda-forge's, else build/
  prefix    the packages of the lock, installed: build/PLATFORM-ACCELERATOR/prefix
  archive   the prefix as a framed archive, with index and manifest: build/PLATFORM-ACCELERATOR/archive;
            what was left out, and the bytes that saved, by reason: pruned.txt beside it
  stub      the launcher, frozen for that manifest
  stage     all of it for Electron's builder: dist/PLATFORM/resources
  verify    the staged launcher, run in hostile places; what was found: dist/PLATFORM/verify.txt and .json
  release   the verified resources for a release page, with SBOM, report and checksums: dist/PLATFORM/release"""
_EXAMPLES = """\
examples:
  python -m pack stage                                        from conda-forge, for this machine
  python -m pack stage --channel local --accelerator cpu      from Python wheels alone, where no channel is reached
  python -m pack lock --platform osx-arm64                    what a Mac's engine would be made of
  python -m pack release --locked --accelerator cpu           what the lock says, verified and ready to be published

exit status: 0 done; 2 a wrong command line; 40-59 an error with a code, a message and a remedy, 74 one of the system:
  a file that it refuses, a full disk; 130 interrupted; 70 a bug, with its traceback."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A command line, understood."""

    act: Act
    project: Path
    platform: Platform
    accelerator: Accelerator | None
    channel: str
    locked: bool
    level: int
    part_size: int
    as_json: bool
    traceback: bool


def parse(arguments: Sequence[str]) -> Request:
    """Return what the arguments ask for; end the program for --help and mistakes, as argparse does."""
    found = _parser().parse_args(arguments)
    return Request(
        act=Act(found.act),
        project=found.project.absolute(),
        platform=Platform(found.platform),
        accelerator=Accelerator(found.accelerator) if found.accelerator else None,
        channel=found.channel,
        locked=found.locked,
        level=found.level or (RELEASE_LEVEL if found.act == Act.RELEASE else LEVEL),
        part_size=found.part_size,
        as_json=found.json,
        traceback=found.traceback,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pack",
        description=_ABOUT,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("act", choices=[str(act) for act in Act], help="how far to go")
    parser.add_argument(
        "--platform",
        choices=[str(platform) for platform in Platform],
        default=str(Platform.current()),
        help="what to build for (this machine: %(default)s); for another platform only its lock can be made",
    )
    parser.add_argument(
        "--accelerator",
        choices=[str(kind) for kind in Accelerator],
        help="which torch build (environment.yml's)",
    )
    parser.add_argument(
        "--channel",
        default=CONDA_FORGE,
        metavar="CHANNEL",
        help=f"where packages come from: {CONDA_FORGE} (default), a channel's URL, or {LOCAL}, made from Python wheels",
    )
    parser.add_argument("--locked", action="store_true", help="refuse to solve: the lock has to be there, and fit")
    parser.add_argument(
        "--level",
        type=_whole(1, 19),
        metavar="N",
        help=f"zstd's level, 1 to 19 ({LEVEL}; {RELEASE_LEVEL} for a release)",
    )
    parser.add_argument(
        "--part-size",
        type=_whole(1, 2**63 - 1),
        default=PART_SIZE,
        metavar="BYTES",
        help="the largest file that is written: an archive above it comes in parts (%(default)s)",
    )
    parser.add_argument("--project", type=Path, default=Path(), metavar="DIR", help="the checkout (this folder)")
    parser.add_argument("--json", action="store_true", help="one JSON line for each act, or its error (docs/events.md)")
    parser.add_argument("--traceback", action="store_true", help="show where in the program an error came up")
    return parser


def _whole(least: int, most: int) -> Callable[[str], int]:
    """Return a reader of whole numbers between two."""

    def read(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"expected a whole number from {least} to {most}, found {text}")
        return int(text)

    return read
