"""A launcher killed at any moment leaves what the next one finishes: the same tree, ready, every time."""

from __future__ import annotations

import os
import random
import shutil
from subprocess import DEVNULL
from typing import TYPE_CHECKING

import pytest

from tests.builders.installed import Packed
from tests.builders.launching import ask, gated_packages, packages, running, tree, wait_for
from tests.builders.prefix import SITE, Package
from tests.builders.runtime import make_resources

if TYPE_CHECKING:
    from pathlib import Path
    from subprocess import Popen

KILLS = int(os.environ.get("PEFT_STUDIO_TEST_KILLS", "10"))  # a release is tried with 200
FILES = 1000  # of Python, each with its bytecode


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Packed:
    """A runtime of a few thousand files."""
    files: dict[str, str | bytes] = {f"{SITE}/many/m{n % 40}/f{n}.py": f"number = {n}\n" * 20 for n in range(FILES)}
    return Packed(*make_resources(tmp_path_factory.mktemp("many"), [*packages(), Package("many", "1", files)]))


def written(slot: Path) -> int:
    """Return how many of the many files are there."""
    return sum(1 for _ in (slot / SITE / "many").rglob("*.py"))


def kill_once_written(launcher: Popen[str], slot: Path, files: int) -> None:
    """Kill a launcher at a moment of so much work done, not of so much time: a slow machine has the same moments."""
    while launcher.poll() is None and written(slot) < files:
        pass
    launcher.kill()


def test_killed_at_many_moments_while_installing_then_started_again(many: Packed, tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert ask(many.resources, home, "--install").status == 0
    whole = tree(many.slot(home))
    states = []
    moments = random.Random(4)
    for _ in range(KILLS):
        shutil.rmtree(home)
        files = moments.randrange(FILES)
        with running(many.resources, home, "--install") as launcher:
            kill_once_written(launcher, many.slot(home), files)
        answer = ask(many.resources, home, "--install")
        assert answer.status == 0, answer
        states += answer.states
        assert tree(many.slot(home)) == whole
    assert "partial" in states, "no kill came while it unpacked"
    assert ask(many.resources, home, "--verify").status == 0


def test_killed_again_and_again_it_still_goes_forward(many: Packed, tmp_path: Path) -> None:
    home = tmp_path / "home"
    for files in (100, 300, 500, 700, 900):
        # What is there already makes a survey of more words than a pipe holds that nobody reads.
        with running(many.resources, home, "--install", stdout=DEVNULL) as launcher:
            kill_once_written(launcher, many.slot(home), files)
        assert written(many.slot(home)) >= files, "what was there is kept"
    assert ask(many.resources, home, "--install").status == 0
    assert ask(many.resources, home, "--verify").status == 0


def test_killed_while_it_repairs_then_started_again(many: Packed, tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert ask(many.resources, home, "--install").status == 0
    whole = tree(many.slot(home))
    moments = random.Random(7)
    for _ in range(5):
        shutil.rmtree(many.slot(home) / SITE / "many")
        (many.slot(home) / "etc/engine.conf").write_text("harmed")
        with running(many.resources, home, "--repair") as launcher:
            wait_for(launcher, "survey")
            # With one of them written the receipt is gone: before that a start has no reason to look closely.
            kill_once_written(launcher, many.slot(home), moments.randrange(1, FILES))
        assert ask(many.resources, home).last("listening")
        assert tree(many.slot(home)) == whole


def test_a_start_waits_for_the_conda_unpack_of_a_killed_launcher(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    (tmp_path / "packed").mkdir()
    packed = Packed(*make_resources(tmp_path / "packed", gated_packages(gate)))
    os.mkfifo(gate)
    home = tmp_path / "home"
    with running(packed.resources, home, "--install") as first:
        wait_for(first, "step", name="relocate", done=0)
        writer = os.open(gate, os.O_WRONLY)  # returns once the interpreter has opened the other end
        first.kill()
        first.wait()
        with running(packed.resources, home, "--install") as second:
            assert wait_for(second, "waiting")["pid"] is None, "the one that signed is dead"
            gate.unlink()
            os.close(writer)
            wait_for(second, "installed")
            assert second.wait() == 0
    assert ask(packed.resources, home, "--verify").status == 0
