"""Whoever started the launcher goes away, or asks it to stop: it ends at once, and the next start goes on."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest

from launcher.errors import EXIT_INTERRUPTED
from launcher.restore import frames_of
from tests.builders.installed import Packed, scene
from tests.builders.launching import ask, command, gated_packages, running, wait_for
from tests.builders.runtime import ROOT, make_resources

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def pipe_end() -> tuple[int, Callable[[], None]]:
    reading, writing = os.pipe()
    return reading, lambda: os.close(writing)


def socket_end() -> tuple[int, Callable[[], None]]:
    """What Node gives its children."""
    ours, theirs = socket.socketpair()
    return theirs.detach(), ours.close


@pytest.mark.parametrize("kind", [pipe_end, socket_end])
def test_until_eof_ends_an_install_when_standard_input_ends(
    kind: Callable[[], tuple[int, Callable[[], None]]], packed: Packed, home: Path
) -> None:
    stdin, end = kind()
    end()
    run = subprocess.run(
        command(packed.resources, home, "--until-eof"), cwd=ROOT, stdin=stdin, capture_output=True, text=True
    )
    os.close(stdin)
    assert run.returncode == EXIT_INTERRUPTED
    assert "the next start goes on from here" in run.stderr
    assert not packed.receipt(home).exists()
    assert ask(packed.resources, home).last("listening")


def test_until_eof_ends_a_launcher_that_waits_for_another(packed: Packed, home: Path) -> None:
    home.mkdir()
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with running(packed.resources, home, "--install", "--until-eof") as launcher:
            wait_for(launcher, "waiting")
            assert launcher.stdin is not None
            launcher.stdin.close()
            assert launcher.wait(60) == EXIT_INTERRUPTED


def test_without_the_flag_standard_input_says_nothing(packed: Packed, home: Path) -> None:
    assert ask(packed.resources, home, "--install").status == 0


def test_with_the_flag_an_open_standard_input_lets_it_finish(packed: Packed, home: Path) -> None:
    with running(packed.resources, home, "--until-eof") as launcher:
        assert wait_for(launcher, "listening")


def test_a_reader_that_goes_away_ends_it_without_a_word(packed: Packed, home: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    run = subprocess.run(
        command(packed.resources, home, "--install"),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writing)
    assert (run.returncode, run.stderr) == (EXIT_INTERRUPTED, "")
    assert ask(packed.resources, home, "--install").status == 0


def test_ctrl_c_leaves_what_the_next_start_finishes(tmp_path: Path) -> None:
    gate, home = tmp_path / "gate", tmp_path / "home"
    (tmp_path / "packed").mkdir()
    gated = Packed(*make_resources(tmp_path / "packed", gated_packages(gate)))
    os.mkfifo(gate)
    with running(gated.resources, home, "--install") as launcher:
        writer = os.open(gate, os.O_WRONLY)  # returns once conda-unpack has come to the gate
        launcher.send_signal(signal.SIGINT)
        launcher.wait()
        os.close(writer)
        assert launcher.returncode == EXIT_INTERRUPTED
        assert launcher.stderr is not None
        assert launcher.stderr.read() == "Interrupted. Finished work is kept; the next start goes on from here.\n"
    assert not gated.receipt(home).exists()
    gate.unlink()
    answer = ask(gated.resources, home, "--install")
    assert (answer.status, answer.states) == (0, ["partial"])
    assert ask(gated.resources, home, "--verify").status == 0


def test_frames_are_asked_for_by_need_alone(packed: Packed, tmp_path: Path) -> None:
    index = scene(packed.resources, tmp_path).read_index()
    ballast = next(entry for entry in index.entries if entry.path == "lib/ballast.bin")
    needed = frames_of([ballast], index.frames)
    assert list(needed) == [ballast.frame]
    (piece,) = needed[ballast.frame]
    assert (piece.end - piece.start, piece.at, piece.is_whole) == (300_000, 0, True)
