"""How soon the staged engine answers: `python -m tests.bench_start [ROUNDS]`. Prints a table; judges nothing.

Each round is a new user's: an empty home, the very first start to the first answer of /api/health, the answers while
the rest arrives behind it, the whole; then a second start.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from http.client import HTTPConnection
from pathlib import Path
from statistics import quantiles

from launcher.platforms import Platform
from tests.builders.backend import REPOSITORY, Backend
from tests.builders.engine import close, launch_engine, read_events

COLUMNS = (
    "round",
    "first start to health, s",
    "the whole, s",
    "health meanwhile, median ms",
    "p99 ms",
    "second start to exec, s",
    "to health, s",
)
PAUSE = 0.01  # seconds between two questions, as a page that watches would ask


def main(rounds: int) -> int:
    """Measure and print."""
    program = REPOSITORY / "dist" / Platform.current() / "resources" / Platform.current().program
    print("|", " | ".join(COLUMNS), "|")
    print("|", " | ".join(["--:"] * len(COLUMNS)), "|")
    for number in range(1, rounds + 1):
        with tempfile.TemporaryDirectory(prefix="bench-", dir=REPOSITORY / "build") as folder:
            first, whole, answers = first_start(program, Path(folder, "home"))
            to_exec, second = second_start(program, Path(folder, "home"))
        cuts = quantiles(answers, n=100)
        row = [str(number), f"{first:.2f}", f"{whole:.1f}", f"{cuts[49] * 1e3:.1f}", f"{cuts[98] * 1e3:.1f}"]
        print("|", " | ".join([*row, f"{to_exec:.3f}", f"{second:.2f}"]), "|", flush=True)
    return 0


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


def second_start(program: Path, home: Path) -> tuple[float, float]:
    """Return seconds to the `starting` event, which the launcher's exec follows at once, and to the first answer."""
    began = time.monotonic()
    engine = launch_engine(program, home, "--", "--port", "0")
    assert engine.process.stdout is not None
    assert json.loads(engine.process.stdout.readline())["event"] == "starting"
    to_exec = time.monotonic() - began
    engine.listening = read_events(engine)[-1]
    answer_seconds(engine)
    second = time.monotonic() - began
    close(engine)
    return to_exec, second


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


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 3))
