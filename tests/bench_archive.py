"""Our archive beside conda-pack's, from one prefix in one run: `python -m tests.bench_archive [--prefix DIR]`.

Prints Markdown tables for docs/benchmarks.md. Each archive is made by a process of its own, so that its peak memory
is its own; of several rounds the medians count. Nothing here passes or fails.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING
from unittest.mock import patch

import conda_pack

from launcher.disk import Disk
from launcher.manifest import Entry, Index, Kind
from launcher.platforms import Platform
from launcher.resources import Resources
from launcher.restore import frames_of, restore
from pack.bytecode import with_bytecode
from pack.condapack import collect
from pack.progress import silent
from pack.prune import prune, read_rules
from pack.records import cuda_of, records
from pack.write import LEVEL, RELEASE_LEVEL, Written, write_archive
from tests.builders.backend import REPOSITORY
from tests.builders.sources import SMALL_MANIFEST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pack.source import Source

HERE = Platform.current()
CHANGED = "peft"  # the package that the next release changes


@dataclass(frozen=True)
class Made:
    """An archive: how long it took in seconds, of the clock and of all cores, its bytes, the most memory in MiB."""

    seconds: float
    work: float
    size: int
    memory: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prefix", type=Path, default=REPOSITORY / "build" / f"{HERE}-cpu" / "prefix")
    parser.add_argument("--accelerator", default="cpu")
    parser.add_argument("--levels", type=int, nargs="*", default=[LEVEL, RELEASE_LEVEL])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument(
        "--cores", type=int, default=os.cpu_count(), help="compress as many frames at once as these would"
    )
    parser.add_argument("--make", nargs=2, metavar=("WAY", "FOLDER"), help=argparse.SUPPRESS)
    request = parser.parse_args()
    if request.make:
        with patch("os.cpu_count", return_value=request.cores):
            make(request.make[0], request.prefix, Path(request.make[1]), request.accelerator)
        return
    compare(request.prefix, request.accelerator, request.levels, request.rounds, request.cores)
    show_store(request.prefix)
    show_core(request.prefix.with_name("archive"))


def compare(prefix: Path, accelerator: str, levels: Sequence[int], rounds: int, cores: int) -> None:
    """Print how long each way of archiving takes, how large the archive is, and how much memory it takes."""
    ways = ["conda-pack tar.gz", "conda-pack tar.zst", *(f"ours, level {level}" for level in levels)]
    ways += [f"ours pruned, level {LEVEL}", *(f"what ships (pruned, with bytecode), level {level}" for level in levels)]
    measured = [{way: measure(way, prefix, accelerator, cores) for way in ways} for _ in range(rounds)]
    found = {way: middle([one[way] for one in measured]) for way in ways}
    gz, zst = found["conda-pack tar.gz"], found["conda-pack tar.zst"]
    print(f"{cores} cores, Python {sys.version.split()[0]}, {prefix.parent.name}, rounds: {rounds}\n")
    print("| way | seconds | × tar.zst | CPU seconds | MB | × tar.gz | × tar.zst | peak MiB |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    for way, made in found.items():
        print(
            f"| {way} | {made.seconds:.1f} | {made.seconds / zst.seconds:.2f} | {made.work:.1f} "
            f"| {made.size / 1e6:.1f} | {made.size / gz.size:.2f} | {made.size / zst.size:.2f} | {made.memory:.0f} |",
            flush=True,
        )


def middle(rounds: Sequence[Made]) -> Made:
    """Return the medians of several rounds, and of memory the most."""
    seconds, work = median(made.seconds for made in rounds), median(made.work for made in rounds)
    return Made(seconds, work, rounds[0].size, max(made.memory for made in rounds))


def measure(way: str, prefix: Path, accelerator: str, cores: int) -> Made:
    """Make an archive in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.bench_archive", "--prefix", str(prefix), "--accelerator", accelerator]
        command += ["--cores", str(cores)]
        began = time.monotonic()
        process = subprocess.Popen([*command, "--make", way, folder], stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)
        size = sum(path.stat().st_size for path in Path(folder).iterdir())
    return Made(seconds, usage.ru_utime + usage.ru_stime, size, usage.ru_maxrss / 1024)


def make(way: str, prefix: Path, folder: Path, accelerator: str) -> None:
    """Archive the prefix into a folder, in one of the ways."""
    writer, _, how = way.partition(", level ")
    if writer == "ours":
        archive(collect(prefix, "local"), folder, int(how))
    elif how:
        rules = read_rules(REPOSITORY / "pack" / "prune.toml", HERE, accelerator, cuda_of(records(prefix)))
        sources, _ = prune(collect(prefix, "local"), rules)
        if "bytecode" in writer:
            sources = with_bytecode(sources, prefix / HERE.python, REPOSITORY / "build" / "bytecode", silent)
        archive(sources, folder, int(how))
    else:
        suffix = way.removeprefix("conda-pack ")
        conda_pack.pack(prefix=str(prefix), output=str(folder / f"archive.{suffix}"), format=suffix, n_threads=-1)


def archive(sources: Sequence[Source], folder: Path, level: int) -> Written:
    return write_archive(sources, folder, machine_paths=[], progress=silent, level=level)


def show_store(prefix: Path) -> None:
    """Print what one small file costs to read, and how much of an archive stays when one package changes."""
    sources = collect(prefix, "local")
    with tempfile.TemporaryDirectory() as scratch:
        before, after = Path(scratch, "before"), Path(scratch, "after")
        for folder in (before, after):
            folder.mkdir()
        written = archive(sources, before, LEVEL)
        small = next(e for e in written.index.entries if e.path.endswith("peft/__init__.py"))
        seconds, frames = read_one(written, before, small, Path(scratch, "slot"))
        print(f"\nOne file of {small.size} bytes: {seconds:.3f} s, {frames} frame read.")
        changed = [
            replace(s, at=None, content=b"# changed\n", sha256="") if s.path == small.path else s for s in sources
        ]
        again = archive(changed, after, LEVEL).index
        kept, size = unchanged(written.index, again, {s.path for s in sources if s.package == CHANGED})
        total = sum(frame.size for frame in again.frames)
        print(f"After a change in {CHANGED}: {kept / size:.2%} of the bytes of other packages' frames are the same;")
        print(f"{(total - kept) / 1e6:.1f} of {total / 1e6:.1f} MB are new.")


def show_core(folder: Path) -> None:
    """Print how much comes first of the archive that the archive act left in `folder`."""
    resources = Resources.open(folder, HERE)
    index, core = resources.read_index(), resources.manifest.core
    frames = {entry.frame for entry in index.entries[:core] if entry.size}
    size, packed = sum(e.size for e in index.entries[:core]), sum(index.frames[number].size for number in frames)
    print(f"The core: {core:,} of {len(index.entries):,} entries, {size / 1e6:.0f} MB, {packed / 1e6:.1f} MB packed.")


def read_one(written: Written, folder: Path, entry: Entry, slot: Path) -> tuple[float, int]:
    """Return how long a repair of one file takes, and how many frames it reads."""
    manifest = SMALL_MANIFEST.but(parts=written.parts)
    began = time.monotonic()
    restore(Resources(folder, b"", manifest), written.index, [entry], slot, Disk(), lambda _done, _total: None)
    return time.monotonic() - began, len(frames_of([entry], written.index.frames))


def unchanged(before: Index, after: Index, own: set[str]) -> tuple[int, int]:
    """Return the bytes of frames of other packages that are in both archives, and of all such frames."""
    frames_of_own = {entry.frame for entry in after.entries if entry.path in own and entry.kind is Kind.FILE}
    digests = {frame.sha256 for frame in before.frames}
    others = [frame for number, frame in enumerate(after.frames) if number not in frames_of_own]
    return sum(f.size for f in others if f.sha256 in digests), sum(f.size for f in others)


if __name__ == "__main__":
    main()
