"""The very first start: the core, then the backend, the rest behind it; whoever is killed, the next start goes on."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import random
import shutil
import sys
from contextlib import contextmanager, suppress
from subprocess import TimeoutExpired
from typing import TYPE_CHECKING, Any, NoReturn

import psutil
import pytest

from launcher.cli import parse
from launcher.host import spawn_behind
from launcher.start import start
from tests.builders.backend import wait_until
from tests.builders.installed import Packed, scene
from tests.builders.launching import ask, packages, running, tree, wait_for
from tests.builders.runtime import make_resources

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from subprocess import Popen

ROUNDS = 12  # kills, at as many moments


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Packed:
    """A runtime whose core is a few files, and whose rest takes a while."""
    return Packed(*make_resources(tmp_path_factory.mktemp("large"), packages(ballast=60_000_000), part_size=10**8))


@pytest.fixture(scope="module")
def whole_tree(large: Packed, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, int, str]]:
    """What `--install` leaves, but for the entries that name the home."""
    home = tmp_path_factory.mktemp("installed")
    assert ask(large.resources, home, "--install").status == 0
    return without_relocated(tree(large.slot(home)))


def without_relocated(found: dict[str, tuple[str, int, str]]) -> dict[str, tuple[str, int, str]]:
    return {path: what for path, what in found.items() if path != "etc/engine.conf"}


def receipt(packed: Packed, home: Path) -> dict[str, Any]:
    """Return the receipt, or an empty one."""
    try:
        found: dict[str, Any] = json.loads((home / "receipts" / f"{packed.manifest.slot_name}.json").read_bytes())
    except FileNotFoundError:
        return {}
    return found


def wait_for_whole(packed: Packed, home: Path) -> None:
    wait_until(lambda: receipt(packed, home).get("part") == "whole", "the receipt says whole")


def behind(home: Path) -> list[psutil.Process]:
    """Return the launchers that work behind backends of this home."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            line = process.cmdline()
            if "--install" in line and str(home) in line:
                found.append(process)
    return found


def wait_for_nobody(home: Path) -> None:
    wait_until(lambda: not behind(home), "nobody works behind a backend any more")


def test_the_backend_starts_from_the_core_and_the_rest_follows_by_itself(
    large: Packed, tmp_path: Path, whole_tree: dict[str, tuple[str, int, str]]
) -> None:
    home = tmp_path / "home é"
    with running(large.resources, home) as launcher:
        assert wait_for(launcher, "installed")["part"] == "core"
        wait_for(launcher, "listening")
        wait_for_whole(large, home)
        wait_until(lambda: not (home / "progress.json").exists(), "progress is told no more")
        assert without_relocated(tree(large.slot(home))) == whole_tree
        wait_for_nobody(home)
        # The backend is nobody's parent: it could not know what to do with a child that is not its own.
        assert psutil.Process(launcher.pid).children() == []
    assert ask(large.resources, home, "--verify").status == 0


def test_the_next_start_is_at_once_while_the_rest_is_outstanding(large: Packed, tmp_path: Path) -> None:
    home = tmp_path / "home"
    core_only(large, home)
    with running(large.resources, home) as launcher:
        seen: list[str] = []
        assert launcher.stdout is not None
        for line in launcher.stdout:
            seen.append(json.loads(line)["event"])
            if seen[-1] == "listening":
                break
        assert seen == ["starting", "listening"]
        wait_for_whole(large, home)


def core_only(packed: Packed, home: Path) -> None:
    """Leave a home in which the very first start got as far as its core, and was killed with all that followed."""
    with running(packed.resources, home) as launcher:
        wait_for(launcher, "listening")
        launcher.kill()
        launcher.wait()
    wait_for_nobody(home)
    if receipt(packed, home).get("part") == "whole":
        # The rest was quicker than the kill: take the last of it away again.
        path = home / "receipts" / f"{packed.manifest.slot_name}.json"
        path.write_text(json.dumps(receipt(packed, home) | {"part": "core"}))
        (packed.slot(home) / "lib/ballast.bin").unlink()


def test_a_start_does_not_wait_for_a_launcher_that_completes_the_runtime(large: Packed, tmp_path: Path) -> None:
    home = tmp_path / "home"
    core_only(large, home)
    with (home / "lock").open("r+") as lock:
        # As the one that completes does, for as long as it takes.
        fcntl.flock(lock, fcntl.LOCK_EX)
        with running(large.resources, home) as launcher:
            wait_for(launcher, "listening")
            assert receipt(large, home)["part"] == "core"
            fcntl.flock(lock, fcntl.LOCK_UN)
            wait_for_whole(large, home)


def test_it_ends_with_the_backend_however_that_ends(large: Packed, tmp_path: Path) -> None:
    home = tmp_path / "home"
    with running(large.resources, home) as launcher:
        wait_for(launcher, "listening")
        launcher.kill()
        launcher.wait()
        wait_for_nobody(home)
    with running(large.resources, home) as launcher:
        wait_for(launcher, "listening")
        wait_for_whole(large, home)
    assert ask(large.resources, home, "--verify").status == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux' kernel ends it by itself")
def test_it_ends_with_the_backend_even_where_it_gets_no_time_to_see_it(large: Packed, tmp_path: Path) -> None:
    home = tmp_path / "home"
    with home_at_work(large, home), running(large.resources, home) as launcher:
        wait_for(launcher, "listening")
        (second,) = behind(home)
        second.suspend()
        launcher.kill()
        launcher.wait()
        wait_for_nobody(home)


@contextmanager
def home_at_work(packed: Packed, home: Path) -> Iterator[None]:
    """Leave a core alone, and hold the home's lock: who would complete it has to wait."""
    core_only(packed, home)
    with (home / "lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def test_killed_at_any_moment_and_in_any_order_the_next_start_goes_on(
    large: Packed, tmp_path: Path, whole_tree: dict[str, tuple[str, int, str]]
) -> None:
    chance = random.Random(11)
    for number in range(ROUNDS):
        home = tmp_path / f"home {number}"
        with running(large.resources, home) as launcher:
            wait_for(launcher, "starting")
            victims = ["behind", "backend"] if number % 2 else ["backend", "behind"]
            kill_in_order(home, launcher, victims[: 1 + number % 3 // 2], chance.uniform(0, 0.4))
        wait_for_nobody(home)
        with running(large.resources, home) as launcher:
            wait_for(launcher, "listening")
            wait_for_whole(large, home)
        assert without_relocated(tree(large.slot(home))) == whole_tree


def kill_in_order(home: Path, launcher: Popen[str], victims: list[str], moment: float) -> None:
    """Let `moment` seconds go by, then kill the backend, those behind it, or both."""
    with suppress(TimeoutExpired):
        launcher.wait(moment)
    for victim in victims:
        if victim == "backend":
            launcher.kill()
            launcher.wait()
        for process in behind(home) if victim == "behind" else ():
            with suppress(psutil.NoSuchProcess):
                process.kill()


def test_repair_and_verify_say_that_only_the_core_is_there(large: Packed, tmp_path: Path) -> None:
    home = tmp_path / "home"
    core_only(large, home)
    answer = ask(large.resources, home, "--verify")
    assert (answer.states, answer.code) == (["core"], "install-damaged")
    assert ask(large.resources, home, "--status").last("result")["state"] == "core"
    repaired = ask(large.resources, home, "--repair").last("result")
    assert (repaired["did"], repaired["found"]) == ("restored", "core")
    assert ask(large.resources, home, "--verify").status == 0


def test_why_the_rest_does_not_come_is_left_for_the_backend_until_it_does(large: Packed, tmp_path: Path) -> None:
    home, progress = tmp_path / "home", tmp_path / "home/progress.json"
    core_only(large, home)
    harmed = shutil.copytree(large.resources, tmp_path / "harmed")
    with (harmed / "runtime.tar.zst").open("r+b") as archive:
        archive.seek(-1000, os.SEEK_END)
        archive.write(bytes(1000))
    with running(harmed, home) as launcher:
        wait_for(launcher, "listening")
        wait_until(lambda: "problem" in told(progress), "the problem is told")
        wait_for_nobody(home)
    problem = told(progress)["problem"]
    assert (problem["code"], problem["remedy"][:9]) == ("archive-damaged", "Reinstall")
    assert {"done", "total", "unit"} < told(progress).keys()
    with running(large.resources, home) as launcher:
        wait_for(launcher, "listening")
        assert "problem" not in told(progress)
        wait_for_whole(large, home)
        wait_until(lambda: not progress.exists(), "nothing is told any more")


def told(progress: Path) -> dict[str, Any]:
    """Return what progress.json holds, nothing while it is written or not there."""
    try:
        found: dict[str, Any] = json.loads(progress.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return found


def test_a_backend_starts_where_the_system_takes_no_second_launcher(
    large: Packed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Become(BaseException):
        """From here on the process would be the backend."""

    def become(*_: object) -> NoReturn:
        raise Become

    def refuse(*_: object) -> NoReturn:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    core_only(large, tmp_path / "home")
    monkeypatch.setattr("launcher.host.become", become)
    monkeypatch.setattr("launcher.host.spawn_behind", refuse)
    with pytest.raises(Become):
        start(scene(large.resources, tmp_path / "home"), parse([], "1.0"))
    problem = told(tmp_path / "home/progress.json")["problem"]
    assert (problem["code"], os.strerror(errno.EAGAIN) in problem["message"]) == ("blocked-by-system", True)


def test_a_second_launcher_that_cannot_be_executed_is_an_error_here() -> None:
    with pytest.raises(FileNotFoundError):
        spawn_behind(["/nowhere/peft_engine"], {})


def test_a_harmed_core_is_mended_before_the_backend_starts(large: Packed, tmp_path: Path) -> None:
    home = tmp_path / "home"
    core_only(large, home)
    (large.slot(home) / "bin/python3.11").unlink()
    with running(large.resources, home) as launcher:
        assert wait_for(launcher, "survey")["state"] == "damaged"
        wait_for(launcher, "listening")
        wait_for_whole(large, home)
    assert ask(large.resources, home, "--verify").status == 0
