"""What a journal spares an interrupted install: `python -m tests.bench_resume [ROUNDS]`. Judges nothing.

The staged runtime is installed, then its receipt taken away and some of its files: what an install leaves that was
killed after so much. The next install finds them all by their hashes, or most of them in the journal.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from launcher.disk import Disk
from launcher.journal import begin_journal
from launcher.manifest import Kind
from launcher.platforms import Platform
from launcher.restore import frames_of
from launcher.whole import make_whole
from tests.builders.backend import REPOSITORY
from tests.builders.installed import scene

if TYPE_CHECKING:
    from collections.abc import Callable

    from launcher.whole import Scene


class Unhurried(Disk):
    """A disk whose flush is not what is measured."""

    def flush_all(self, root: Path, files: object) -> None: ...


def main(rounds: int) -> int:
    """Measure and print."""
    resources = REPOSITORY / "dist" / Platform.current() / "resources"
    with tempfile.TemporaryDirectory(prefix="bench-", dir=REPOSITORY / "build") as folder:
        at_work = scene(resources, Path(folder, "home"), Unhurried())
        make_whole(at_work)
        print("| missing | by hashing, s | by the journal, s | × |\n|---|--:|--:|--:|")
        for share in (0.02, 0.5):
            hashed = median(resume(at_work, share, forget) for _ in range(rounds))
            believed = median(resume(at_work, share, remember) for _ in range(rounds))
            print(
                f"| {share:.0%} of the frames | {hashed:.2f} | {believed:.2f} | {believed / hashed:.2f} |", flush=True
            )
    return 0


def resume(at_work: Scene, share: float, leave: Callable[[Scene, frozenset[int]], None]) -> float:
    """Return the seconds that finishing takes, where the last of the archive is missing."""
    index, home = at_work.read_index(), at_work.home
    first = round(len(index.frames) * (1 - share))
    for number, pieces in frames_of(index.entries, index.frames).items():
        for piece in pieces if number >= first else ():
            (at_work.slot / piece.entry.path).unlink(missing_ok=True)
    home.receipt(at_work.manifest.slot_name).unlink()
    leave(at_work, frozenset(range(first)))
    began = time.monotonic()
    make_whole(at_work)
    seconds = time.monotonic() - began
    missing = [e.path for e in index.entries if e.kind is Kind.FILE and not (at_work.slot / e.path).exists()]
    assert not missing, missing
    return seconds


def forget(at_work: Scene, _frames: frozenset[int]) -> None:
    shutil.rmtree(at_work.home.journal(at_work.manifest.slot_name), ignore_errors=True)


def remember(at_work: Scene, frames: frozenset[int]) -> None:
    begin_journal(at_work.home, at_work.manifest, at_work.disk, frames)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 3))
