"""Several launchers at once on one home: it is installed once, each gets its backend, and the dead hold nobody up."""

from __future__ import annotations

import errno
import fcntl
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, NoReturn

import pytest

from launcher.errors import HomeWithoutLocks
from launcher.host import Lock
from launcher.locks import backend_of, home_at_rest, home_to_ourselves, share_slot, slot_to_ourselves
from launcher.whole import make_whole
from tests.builders.installed import scene
from tests.builders.launching import ask, running, wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.builders.installed import Packed


@pytest.mark.parametrize("count", [2, 8])
@pytest.mark.parametrize("repetition", range(3))
def test_all_get_their_backend_from_one_install(count: int, repetition: int, packed: Packed, tmp_path: Path) -> None:
    home = tmp_path / f"home {repetition}"
    with ExitStack() as stack:
        launchers = [stack.enter_context(running(packed.resources, home)) for _ in range(count)]
        seen = [[wait_for(launcher, "starting"), wait_for(launcher, "listening")] for launcher in launchers]
        assert [listening["pid"] for _, listening in seen] == [launcher.pid for launcher in launchers]
    log = (home / "logs/launcher.log").read_text()
    assert log.count('"part": "core"') == 1
    assert log.count('"part": "whole"') <= 1
    assert '"event": "failed"' not in log


def test_the_killed_hold_nobody_up(packed: Packed, tmp_path: Path) -> None:
    home = tmp_path / "home"
    with ExitStack() as stack:
        launchers = [stack.enter_context(running(packed.resources, home)) for _ in range(8)]
        for launcher in launchers[::2]:
            # Its first word: it has come to the home's lock, and holds it or waits.
            assert launcher.stdout is not None
            assert launcher.stdout.readline()
            launcher.kill()
        for launcher in launchers[1::2]:
            assert wait_for(launcher, "listening")["pid"] == launcher.pid
    assert ask(packed.resources, home, "--install").status == 0
    assert ask(packed.resources, home, "--verify").status == 0


def test_a_home_at_work_is_waited_for_and_the_worker_is_named(packed: Packed, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with (home / "lock").open("w") as lock:
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        with running(packed.resources, home) as launcher:
            assert wait_for(launcher, "waiting")["pid"] == os.getpid()
            fcntl.flock(lock, fcntl.LOCK_UN)
            assert wait_for(launcher, "listening")


def test_of_backends_that_share_a_slot_one_that_lives_is_named(packed: Packed, tmp_path: Path) -> None:
    home = tmp_path / "home"
    with running(packed.resources, home) as first:
        wait_for(first, "listening")
        with running(packed.resources, home) as second:
            wait_for(second, "listening")
            assert ask(packed.resources, home, "--status").last("result")["running"] == second.pid
        second.wait()
        # macOS' kernel does not say who holds a lock, and the file names the last alone.
        living = first.pid if sys.platform == "linux" else None
        assert ask(packed.resources, home, "--status").last("result")["running"] == living
        busy = ask(packed.resources, home, "--repair").last("failed")["message"]
        assert f"({'another process' if living is None else f'process {living}'})" in busy


@pytest.mark.parametrize("content", ["", "0\n", "4194305\n", "9999999999", "no number"])
def test_where_the_kernel_does_not_say_who_holds_a_lock_nobody_dead_is_named(
    content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("launcher.host.posix._LOCKS", tmp_path / "no such file")
    path = tmp_path / "lock"
    path.write_text(content)
    held, asking = Lock(path), Lock(path)
    assert held.take(shared=False, wait=False)
    assert not asking.take(shared=False, wait=False)
    assert asking.holder() is None
    held.sign()
    assert asking.holder() == os.getpid()
    for lock in (held, asking):
        lock.release()


def test_starts_and_repairs_at_once_never_fail_but_for_a_running_backend(packed: Packed, tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert ask(packed.resources, home, "--install").status == 0
    (packed.slot(home) / "bin/python3.11").unlink()
    with ExitStack() as stack:
        acts: tuple[list[str], ...] = ([], ["--repair"], [], ["--install"], ["--repair"], [])
        launchers = [stack.enter_context(running(packed.resources, home, *arguments)) for arguments in acts]
        for launcher, arguments in zip(launchers, acts, strict=True):
            if not arguments:
                wait_for(launcher, "listening")
            elif launcher.wait() != 0:
                assert "--repair" in arguments
                assert launcher.stdout is not None
                assert '"code": "busy"' in launcher.stdout.read()
    assert ask(packed.resources, home, "--verify").status == 0


def test_who_looks_whether_a_backend_runs_is_never_taken_for_one_nor_in_anybodys_way(
    packed: Packed, tmp_path: Path
) -> None:
    at = scene(packed.resources, tmp_path / "home")
    make_whole(at)
    name = packed.manifest.slot_name
    (at.home.slot_lock(name)).write_text("4711\n")

    def glance(_: int) -> int | None:
        return backend_of(at.home, name)

    def start(_: int) -> bool:
        with home_at_rest(at.home, wait=True):
            lock = share_slot(at.home, name)
        if lock is not None:
            lock.release()
        return lock is not None

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(glance, range(500))) == {None}
        glances = [pool.submit(glance, number) for number in range(500)]
        assert all(map(start, range(500)))
        for look in glances:
            look.result()


def test_a_slot_that_somebody_changes_runs_no_backend(packed: Packed, tmp_path: Path) -> None:
    at = scene(packed.resources, tmp_path / "home")
    make_whole(at)
    name = packed.manifest.slot_name
    at.home.slot_lock(name).write_text("4711\n")
    at.home.progress.write_text("{}")  # as one who was killed has left it
    with home_to_ourselves(at.home, at.report), slot_to_ourselves(at.home, name):
        assert backend_of(at.home, name) is None


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_home_whose_file_system_keeps_no_locks_is_named_and_left(
    number: int, packed: Packed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(HomeWithoutLocks, match=os.strerror(number)) as raised:
        make_whole(scene(packed.resources, tmp_path / "home"))
    assert raised.value.remedy == "Choose a folder on a disk of this computer with --home."
    assert not packed.slot(tmp_path / "home").exists()
