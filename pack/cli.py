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

  channel   a local conda channel: the backend, and what the other channels lack (--channel local: everything)
  lock      the exact packages, solved from environment.yml
  prefix    the packages of the lock, installed under build/
  archive   the prefix as a framed archive, with index and manifest
  stub      the launcher, frozen for that manifest
  stage     all of it in dist/PLATFORM/resources, for Electron's builder
  verify    the staged launcher, run in hostile places: dist/PLATFORM/verify.txt says what was found
  release   the verified resources as files of a release page, with SBOM, report and checksums"""
_EXAMPLES = """\
examples:
  python -m pack stage                                        from conda-forge, for this machine
  python -m pack stage --channel local --accelerator cpu      from Python wheels alone, where no channel is reached
  python -m pack archive --locked                             refuse to solve: build what the lock says

exit status: 0 done; 40-59 an error with a code, a message and a remedy; 130 interrupted; 70 a bug."""


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
        help="for which",
    )
    parser.add_argument(
        "--accelerator", choices=[str(kind) for kind in Accelerator], help="another torch build than environment.yml's"
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
        help="the archive's parts at most (%(default)s)",
    )
    parser.add_argument("--project", type=Path, default=Path(), metavar="DIR", help="the checkout (this folder)")
    parser.add_argument("--json", action="store_true", help="one JSON line for each act, on stdout")
    parser.add_argument("--traceback", action="store_true", help="show where in the program an error came up")
    return parser


def _whole(least: int, most: int) -> Callable[[str], int]:
    """Return a reader of whole numbers between two."""

    def read(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"expected a whole number from {least} to {most}, found {text}")
        return int(text)

    return read
