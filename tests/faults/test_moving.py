"""The plug is pulled at every change of a move: the next start has one of the two homes, whole."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from functools import partial
from typing import TYPE_CHECKING

import pytest

from launcher.home import Home, find_home, find_way
from launcher.move import finish_move
from launcher.plan import Missing, Moved
from launcher.survey import survey_quickly
from tests.builders.backend import wait_until
from tests.builders.disks import FailingDisk, PlugPulledError, small_disk
from tests.builders.installed import scene
from tests.builders.launching import ask, command, tree
from tests.builders.leases import held_up
from tests.builders.moving import TwoDisks, move
from tests.builders.runtime import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.builders.installed import Packed


class OneDisk(FailingDisk):
    """A disk that ends at a change of a move."""

    def copy(self, source: Path, path: Path) -> None:
        if self._count() and self._halves and not source.is_symlink():
            path.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
            raise PlugPulledError
        super().copy(source, path)

    def flush(self, path: Path) -> None:  # noqa: ARG002
        self._count()

    def flush_folder(self, path: Path) -> None:  # noqa: ARG002
        self._count()

    def copy_mode(self, source: Path, path: Path) -> None:
        self._count()
        super().copy_mode(source, path)


class FailingTwoDisks(TwoDisks, OneDisk):
    """The same where the two homes lie on two disks."""


FOREVER = 1_000_000


@pytest.mark.parametrize("disk", [OneDisk, FailingTwoDisks])
@pytest.mark.parametrize("halves", [False, True], ids=["cut", "half written"])
def test_a_move_that_was_cut_has_not_begun_or_is_finished_by_whoever_comes_next(
    disk: type[OneDisk], halves: bool, packed: Packed, default: Path, tmp_path: Path
) -> None:
    work, runtime = tree(default / "data"), tree(default / "rt")
    sound = shutil.copytree(default, tmp_path / "sound", symlinks=True)
    there = tmp_path / "big disk/peft studio"
    seen = set()
    number = 0
    while True:
        number += 1
        try:
            move(packed, there, disk(number, halves=halves))
        except PlugPulledError:
            cut = True
        else:
            cut = False
        home = find_home(None, {})
        seen.add(home.root)
        finish_move(home, disk(FOREVER, halves=False), scene(packed.resources, home.root).report)
        assert tree(home.root / "data") == work, f"after change {number} some of it is lost"
        if home.root != there:
            assert tree(home.root / "rt") == runtime
            move(packed, there, disk(FOREVER, halves=False))
        demand_moved(packed, default, there, work, runtime if disk is OneDisk else None)
        if not cut:
            break
        shutil.rmtree(default)
        shutil.rmtree(there)
        shutil.copytree(sound, default, symlinks=True)
    assert seen == {default, there}
    assert number > 20


@pytest.mark.parametrize("disk", [OneDisk, FailingTwoDisks])
def test_a_move_back_to_the_default_that_was_cut_as_well(
    disk: type[OneDisk], packed: Packed, default: Path, tmp_path: Path
) -> None:
    there = tmp_path / "big disk"
    work = tree(default / "data")
    move(packed, there, disk(FOREVER, halves=False))
    sound = shutil.copytree(tmp_path / "share", tmp_path / "sound share", symlinks=True)
    full = shutil.copytree(there, tmp_path / "sound disk", symlinks=True)
    number = 0
    while True:
        number += 1
        try:
            move(packed, default, disk(number, halves=False))
        except PlugPulledError:
            cut = True
        else:
            cut = False
        home = find_home(None, {})
        finish_move(home, disk(FOREVER, halves=False), scene(packed.resources, home.root).report)
        assert tree(home.root / "data") == work
        if home.root != default:
            move(packed, default, disk(FOREVER, halves=False))
        assert find_way(None, {}) == (Home(default),)
        assert tree(default / "data") == work
        assert not there.exists() or names(there) <= {"lock", "receipts"}
        if not cut:
            break
        for folder, copy in ((tmp_path / "share", sound), (there, full)):
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(copy, folder, symlinks=True)
    assert not there.exists()
    assert not (default / "location").exists()


@pytest.mark.root
def test_interrupted_while_it_copies_or_compares_the_home_is_where_it_was(
    packed: Packed, default: Path, tmp_path: Path
) -> None:
    work = tree(default / "data")
    with small_disk(tmp_path / "disk", "size=50m") as there:
        arguments = [*command(packed.resources, default), "--move-home", str(there)]
        # What the first has copied the second compares alone.
        for step, name in (("restore", "token"), ("verify", "jobs/é 1/checkpoint.bin")):
            with (
                held_up(default / "data" / name) as came,
                subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True) as moving,
            ):
                wait_until(partial(bool, came), f"the launcher opens {name}")
                moving.send_signal(signal.SIGINT)
                events = [json.loads(line) for line in moving.communicate()[0].splitlines()]
            assert (moving.returncode, events[-1]["name"]) == (130, step)
            assert (find_home(None, {}).root, tree(default / "data")) == (default, work)
            assert ask(packed.resources, default).last("listening")["argv"][1] == str(default / "data")
        assert ask(packed.resources, default, "--move-home", str(there)).status == 0
        assert tree(there / "data") == work


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def demand_moved(
    packed: Packed, default: Path, there: Path, work: Mapping[str, object], runtime: Mapping[str, object] | None
) -> None:
    assert find_home(None, {}).root == there
    assert tree(there / "data") == work
    # A cut before the very last changes may leave what holds nothing.
    assert names(default) - {"lock", "receipts"} == {"location"}
    assert names(there) <= {"data", "plugins", "logs", "lock", "rt", "receipts"}
    state = survey_quickly(Home(there), packed.manifest)
    if runtime is None:
        assert state == Missing()
    else:
        assert state == Moved(str(default / "rt" / packed.manifest.slot_name))
        assert tree(there / "rt") == runtime
