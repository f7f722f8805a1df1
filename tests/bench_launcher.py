"""The staged launcher beside its peers, in one run: `python -m tests.bench_launcher [--resources DIR] [--rounds N]`.

Prints Markdown tables for docs/benchmarks.md; judges nothing. Of each figure the median of the rounds counts, in which
all ways take turns. What installs is timed to the end of `sync`, from archives that the page cache holds, into folders
that do not exist yet.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING

from launcher.manifest import Kind
from launcher.platforms import Platform
from launcher.resources import Resources
from tests.bench_peers import Peer, Run, onefile_stub, peers, run, seconds_to_first_line
from tests.builders.backend import REPOSITORY, Backend
from tests.builders.engine import close, launch_engine, read_events

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

HERE = Platform.current()
PAUSE = 0.01  # seconds between two questions, as a page that watches would ask
DAMAGED = 10  # files that support has to repair
STARTS = 20  # later starts, which are soon done


@dataclass(frozen=True)
class Engine:
    """Staged resources, and what the figures need to know of them."""

    folder: Path
    bytes: int
    files: Sequence[str]
    """Plain files, as paths below a slot, in the order of the archive."""

    @classmethod
    def of(cls, folder: Path) -> Engine:
        index = Resources.open(folder, HERE).read_index()
        plain = [entry for entry in index.entries if entry.kind is Kind.FILE]
        files = [entry.path for entry in plain if entry.size and not entry.relocated]
        return cls(folder, sum(entry.size for entry in plain), files)

    @property
    def program(self) -> Path:
        return self.folder / HERE.program

    def act(self, act: str, home: Path) -> Run:
        return run(self.program, act, "--quiet", "--home", home)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resources", type=Path, default=REPOSITORY / "dist" / HERE / "resources")
    parser.add_argument(
        "--wheels", type=Path, default=REPOSITORY / "build" / "wheels", help="what the runtime is made of"
    )
    parser.add_argument("--archives", type=Path, help="keep the peers' archives in this folder for another run")
    parser.add_argument(
        "--disk", type=Path, default=REPOSITORY / "build", help="install into this folder: best on a new file system"
    )
    parser.add_argument("--rounds", type=int, default=3)
    request = parser.parse_args()
    engine = Engine.of(request.resources.absolute())
    size = f"{engine.bytes / 1e9:.2f} GB in {len(engine.files)} files"
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {size}\n")
    with tempfile.TemporaryDirectory(prefix="bench-", dir=request.disk) as scratch:
        folder = Path(scratch)
        others = peers(engine.folder, request.wheels, request.archives or folder)
        installs = bench_installs(engine, others, folder, request.rounds)
        bench_first_starts(engine, folder, request.rounds, installs)
        home = folder / "home"
        engine.act("--install", home)
        bench_later_starts(engine, home, onefile_stub(folder))
        bench_repairs(engine, home, request.rounds)


def bench_installs(engine: Engine, others: Sequence[Peer], folder: Path, rounds: int) -> float:
    """Print how long each way of installing takes; return our seconds."""
    ours = Peer("peft_engine --install", lambda home: engine.act("--install", home))
    ways = [*others, ours]
    runs: dict[str, list[Run]] = {way.name: [] for way in ways}
    # Each round begins with another way, so that none always comes behind the same neighbour.
    turns = [ways[(number + step) % len(ways)] for number in range(rounds) for step in range(len(ways))]
    for number, way in enumerate(turns):
        runs[way.name].append(way.install(folder / f"installed {number}"))
        empty(folder / f"installed {number}")
    seconds = {name: median(found.seconds for found in all_found) for name, all_found in runs.items()}
    mine = seconds[ours.name]
    table(
        ("installed and on disk", "s, median", "s, each", "ours is × of it"),
        (
            (
                name,
                f"{seconds[name]:.1f}",
                " ".join(f"{found.seconds:.1f}" for found in all_found),
                f"{mine / seconds[name]:.2f}",
            )
            for name, all_found in runs.items()
        ),
    )
    print(f"Peak memory of ours: {max(found.memory for found in runs[ours.name]):.0f} MiB.\n")
    return mine


def bench_first_starts(engine: Engine, folder: Path, rounds: int, install: float) -> None:
    """Print how soon the server of a new home answers, how fast meanwhile, and when the runtime is whole."""
    rows = []
    for number in range(rounds):
        os.sync()
        first, whole, answers = first_start(engine.program, folder / f"new {number}")
        cuts = quantiles(answers, n=100)
        rows.append((first, whole, whole - first, cuts[49] * 1e3, cuts[98] * 1e3))
        empty(folder / f"new {number}")
    middle = [median(column) for column in zip(*rows, strict=True)]
    table(
        (
            "very first start",
            "to health, s",
            "whole, s",
            "× of --install",
            "beside the server, s",
            "× of --install",
            "health meanwhile, median ms",
            "p99 ms",
        ),
        (
            (
                name,
                f"{first:.2f}",
                f"{whole:.1f}",
                f"{whole / install:.2f}",
                f"{beside:.1f}",
                f"{beside / install:.2f}",
                f"{usual:.1f}",
                f"{slow:.1f}",
            )
            for name, (first, whole, beside, usual, slow) in (
                *((str(n + 1), row) for n, row in enumerate(rows)),
                ("median", middle),
            )
        ),
    )


def bench_later_starts(engine: Engine, home: Path, onefile: Path) -> None:
    """Print how long a launcher takes until it becomes another program, beside one of PyInstaller's single files."""
    starts, others = [], []
    for _ in range(STARTS):
        starts.append(later_start(engine.program, home))
        others.append(seconds_to_first_line([onefile]))
    mine, healthy = ([start[part] for start in starts] for part in (0, 1))
    table(
        ("later starts", "to exec, ms, median", "least", "× of it", "to health, ms"),
        (
            (
                "peft_engine",
                f"{median(mine) * 1e3:.0f}",
                f"{min(mine) * 1e3:.0f}",
                f"{median(mine) / median(others):.2f}",
                f"{median(healthy) * 1e3:.0f}",
            ),
            (
                "a onefile program that only execs",
                f"{median(others) * 1e3:.0f}",
                f"{min(others) * 1e3:.0f}",
                "1.00",
                "",
            ),
        ),
    )


def bench_repairs(engine: Engine, home: Path, rounds: int) -> None:
    """Print how long it takes to look at everything, and what repairs take beyond that."""
    found: dict[str, list[float]] = defaultdict(list)
    (slot,) = (home / "rt").iterdir()
    step = len(engine.files) // DAMAGED
    for number in range(rounds):
        found["verify"].append(engine.act("--verify", home).seconds)
        for path in engine.files[::step][:DAMAGED]:
            (slot / path).write_bytes(b"damaged")
        found["repair"].append(engine.act("--repair", home).seconds)
        moved = home.with_name(f"home {number}")
        home.rename(moved)
        found["move"].append(engine.act("--repair", moved).seconds)
        home, slot = moved, moved / "rt" / slot.name
    look = median(found["verify"])
    table(
        ("in an installed home", "s, median", "beyond the verify, s", "GB/s"),
        (
            ("every file's sha256", f"{look:.2f}", "", f"{engine.bytes / look / 1e9:.2f}"),
            (
                f"{DAMAGED} damaged files repaired",
                f"{median(found['repair']):.2f}",
                f"{median(found['repair']) - look:.2f}",
                "",
            ),
            ("a moved home repaired", f"{median(found['move']):.2f}", f"{median(found['move']) - look:.2f}", ""),
        ),
    )


def first_start(program: Path, home: Path) -> tuple[float, float, list[float]]:
    """Return seconds to the first answer, to the whole, and of each answer between the two."""
    began = time.monotonic()
    engine = launch_engine(program, home, "--", "--port", "0")
    engine.listening = read_events(engine)[-1]
    answer_seconds(engine)
    first = time.monotonic() - began
    answers = []
    while not is_whole(home):
        answers.append(answer_seconds(engine))
        time.sleep(PAUSE)
    whole = time.monotonic() - began
    close(engine)
    return first, whole, answers


def later_start(program: Path, home: Path) -> tuple[float, float]:
    """Return seconds to the `starting` event, which the launcher's exec follows at once, and to the first answer."""
    began = time.monotonic()
    engine = launch_engine(program, home, "--", "--port", "0")
    assert engine.process.stdout is not None
    assert json.loads(engine.process.stdout.readline())["event"] == "starting"
    to_exec = time.monotonic() - began
    engine.listening = read_events(engine)[-1]
    answer_seconds(engine)
    to_health = time.monotonic() - began
    close(engine)
    return to_exec, to_health


def answer_seconds(engine: Backend) -> float:
    """Return the seconds that one answer of /api/health took."""
    began = time.perf_counter()
    connection = HTTPConnection("127.0.0.1", engine.port, timeout=10)
    connection.request("GET", "/api/health")
    assert connection.getresponse().status == 200
    connection.close()
    return time.perf_counter() - began


def is_whole(home: Path) -> bool:
    """Whether the receipt says that all of the runtime is there."""
    (receipt,) = (home / "receipts").glob("*.json")
    return bool(json.loads(receipt.read_bytes())["part"] == "whole")


def empty(folder: Path) -> None:
    """Give the room of a tree back and leave its files.

    For a minute ext4 gives no inode away that was in use (recently_deleted): after 32,000 removals it looked so long
    for new ones that the next installation took three times as much of the processor.
    """
    for place, _, names in os.walk(folder):
        for name in names:
            if not (path := Path(place, name)).is_symlink():
                os.truncate(path, 0)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table at once: what follows may take minutes."""
    print("|", " | ".join(heads), "|")
    print("|", " | ".join(["---", *["--:"] * (len(heads) - 1)]), "|")
    for row in rows:
        print("|", " | ".join(row), "|")
    print(flush=True)


if __name__ == "__main__":
    main()
