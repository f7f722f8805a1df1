"""What every training hears on its stdin, on every platform: a wish to stop, and the end of its backend."""

from __future__ import annotations

import subprocess
import sys

import pytest

from backend.workers import STOP
from tests.builders.backend import DEADLINE, REPOSITORY

# Says when it is asked, and what a child of its own finds on its stdin.
WORKER = """
import subprocess, sys, time
from backend.working import when_asked_to_stop
when_asked_to_stop(lambda: print("asked", flush=True))
child = "import sys; print(sys.stdin.read())"
print("child read", repr(subprocess.run([sys.executable, "-c", child], capture_output=True).stdout.strip()), flush=True)
while True:
    time.sleep(1)
"""


@pytest.fixture
def worker() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", WORKER], cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


def test_a_worker_is_asked_to_stop_by_a_line_and_ends_with_its_stdin(worker: subprocess.Popen[bytes]) -> None:
    assert worker.stdin is not None
    assert worker.stdout is not None
    assert worker.stdout.readline() == b"child read b''\n"  # else it would wait for our pipe, or take what is for us
    worker.stdin.write(STOP)
    worker.stdin.flush()
    assert worker.stdout.readline() == b"asked\n"
    told, _ = worker.communicate(timeout=DEADLINE)  # closes its stdin
    assert (told, worker.returncode) == (b"", 1)
