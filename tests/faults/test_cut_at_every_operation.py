"""The plug is pulled at every change to the disk, one after another: the next run makes it whole, whatever was left."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from launcher.disk import Disk
from launcher.plan import Launch, Ready
from launcher.survey import survey_quickly
from launcher.whole import make_startable, make_surely_whole, make_whole
from tests.builders.disks import FailingDisk, PlugPulledError, PowerCut, Rebooted
from tests.builders.installed import scene
from tests.builders.launching import tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.builders.installed import Packed


def cuts(work: Callable[[Disk], Any], *, halves: bool) -> Iterator[int]:
    """Do the work again and again, cut one change later each time, until it comes to its end; yield between."""
    number = 0
    while True:
        number += 1
        try:
            work(FailingDisk(number, halves=halves))
        except PlugPulledError:
            yield number
        else:
            return


def power_cuts(work: Callable[[Disk], Any], *, halves: bool) -> Iterator[int]:
    """Do the same, and lose what has not reached the disk each time, also when the work has come to its end."""
    number, cut = 0, True
    while cut:
        number += 1
        disk = PowerCut(number, halves=halves)
        try:
            work(disk)
        except PlugPulledError:
            cut = True
        else:
            cut = False
        disk.lose()
        yield number


@pytest.mark.parametrize("halves", [False, True], ids=["cut", "half written"])
class TestCutAtEveryOperation:
    def test_an_install_is_finished_by_the_next(self, halves: bool, packed: Packed, tmp_path: Path) -> None:
        whole = self.fresh(packed, tmp_path)
        home = tmp_path / "home"
        moments = 0
        for moments in cuts(lambda disk: make_whole(scene(packed.resources, home, disk)), halves=halves):  # noqa: B007
            make_whole(scene(packed.resources, home))
            self.demand_ready(packed, home, whole)
            shutil.rmtree(home)
        assert moments > 40

    def test_many_in_a_row_go_forward(self, halves: bool, packed: Packed, tmp_path: Path) -> None:
        """A machine that fails again and again, each time a little later, on one and the same home."""
        whole = self.fresh(packed, tmp_path)
        home = tmp_path / "home"
        for _ in cuts(lambda disk: make_whole(scene(packed.resources, home, disk)), halves=halves):
            state = survey_quickly(scene(packed.resources, home).home, packed.manifest)
            assert isinstance(state, Ready) == packed.receipt(home).exists()
        self.demand_ready(packed, home, whole)

    def test_a_repair_is_finished_by_the_next_start(self, halves: bool, packed: Packed, tmp_path: Path) -> None:
        whole = self.fresh(packed, tmp_path)
        sound = tmp_path / "fresh"
        home = tmp_path / "home"

        def repair(disk: Disk) -> None:
            shutil.copytree(sound, home, symlinks=True)
            make_whole(scene(packed.resources, home))
            slot = packed.slot(home)
            (slot / "lib/ballast.bin").unlink()
            (slot / "lib/ballast.so").unlink()
            (slot / "etc/engine.conf").write_text("harmed")
            shutil.rmtree(slot / "share")
            make_surely_whole(scene(packed.resources, home, disk))

        for _ in cuts(repair, halves=halves):
            # What was cut before the receipt went was not begun; from there on a plain start has to finish it.
            if packed.receipt(home).exists():
                make_surely_whole(scene(packed.resources, home))
            else:
                make_whole(scene(packed.resources, home))
            self.demand_ready(packed, home, whole)
            shutil.rmtree(home)

    def test_of_an_install_whose_power_goes_only_what_was_flushed_is_believed(
        self, halves: bool, packed: Packed, tmp_path: Path
    ) -> None:
        whole = self.fresh(packed, tmp_path)
        home = tmp_path / "home"
        number = 0
        for number in power_cuts(lambda disk: make_whole(scene(packed.resources, home, disk)), halves=halves):  # noqa: B007
            make_whole(scene(packed.resources, home, Rebooted()))
            self.demand_ready(packed, home, whole)
            shutil.rmtree(home)
        assert number > 40

    def test_a_first_start_is_finished_by_the_next(self, halves: bool, packed: Packed, tmp_path: Path) -> None:
        whole = self.fresh(packed, tmp_path)
        home = tmp_path / "home"
        moments = 0
        for moments in cuts(lambda disk: self.start(packed, home, disk), halves=halves):  # noqa: B007
            self.start(packed, home, Disk())
            self.demand_ready(packed, home, whole)
            shutil.rmtree(home)
        assert moments > 40

    def test_of_a_first_start_whose_power_goes_only_what_was_flushed_is_believed(
        self, halves: bool, packed: Packed, tmp_path: Path
    ) -> None:
        whole = self.fresh(packed, tmp_path)
        home = tmp_path / "home"
        for _ in power_cuts(lambda disk: self.start(packed, home, disk), halves=halves):
            self.start(packed, home, Rebooted())
            self.demand_ready(packed, home, whole)
            shutil.rmtree(home)

    def start(self, packed: Packed, home: Path, disk: Disk) -> None:
        """Do to the disk what a very first start does, and then the launcher behind it."""
        make_startable(scene(packed.resources, home, disk))
        make_whole(scene(packed.resources, home, disk))

    def test_of_a_repair_whose_power_goes_no_receipt_comes_back_that_says_more_than_is_there(
        self, halves: bool, packed: Packed, tmp_path: Path
    ) -> None:
        whole = self.fresh(packed, tmp_path)
        home = tmp_path / "home"

        def mend(disk: Disk) -> None:
            make_whole(scene(packed.resources, home))
            # What a start sees at a glance, and no more once something stands in its place.
            (packed.slot(home) / "bin/python3.11").unlink()
            make_whole(scene(packed.resources, home, disk))

        for _ in power_cuts(mend, halves=halves):
            make_whole(scene(packed.resources, home, Rebooted()))
            self.demand_ready(packed, home, whole)
            shutil.rmtree(home)

    def fresh(self, packed: Packed, tmp_path: Path) -> dict[str, tuple[str, int, str]]:
        make_whole(scene(packed.resources, tmp_path / "fresh"))
        return relative(packed, tmp_path / "fresh")

    def demand_ready(self, packed: Packed, home: Path, whole: dict[str, tuple[str, int, str]]) -> None:
        assert relative(packed, home) == whole
        assert make_surely_whole(scene(packed.resources, home)) == (Ready(), Launch())
        assert not list((home / "receipts").glob("*.new"))


def relative(packed: Packed, home: Path) -> dict[str, tuple[str, int, str]]:
    """Return the slot's tree; what conda-unpack wrote the slot's own path into is told by its text without it."""
    slot = packed.slot(home)
    found = tree(slot)
    for entry in scene(packed.resources, home).read_index().entries:
        if entry.relocated:
            text = (slot / entry.path).read_text().replace(str(slot), "SLOT")
            found[entry.path] = (*found[entry.path][:2], text)
    return found
