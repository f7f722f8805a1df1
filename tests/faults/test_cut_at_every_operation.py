"""The plug is pulled at every change to the disk, one after another: the next run makes it whole, whatever was left."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from launcher.disk import Disk
from launcher.plan import Launch, Ready
from launcher.survey import survey_quickly
from launcher.whole import make_surely_whole, make_whole
from tests.builders.installed import scene
from tests.builders.launching import tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from tests.builders.installed import Packed


class PlugPulledError(BaseException):
    """Nothing after this moment happened: no handler may take it for an error that it knows."""


class FailingDisk(Disk):
    """A disk that ends at change number `last`; with `halves`, half of a file's bytes still get there."""

    def __init__(self, last: int, *, halves: bool) -> None:
        self._left = last
        self._halves = halves

    def _count(self) -> bool:
        """Return whether this is the last change; raise after it."""
        self._left -= 1
        if self._left < 0:
            raise PlugPulledError
        return self._left == 0

    def _written(self, write: Callable[[bytes | memoryview], object], content: bytes | memoryview) -> None:
        if self._count() and self._halves:
            write(content[: len(content) // 2])
            raise PlugPulledError
        write(content)

    def create(self, path: Path, content: bytes | memoryview, mode: int) -> None:
        self._written(lambda part: Disk.create(self, path, part, mode), content)

    def note(self, path: Path, content: bytes) -> None:
        self._written(lambda part: Disk.note(self, path, bytes(part)), content)

    def write_at(self, path: Path, content: bytes | memoryview, offset: int) -> None:
        self._written(lambda part: Disk.write_at(self, path, part, offset), content)

    def append(self, path: Path, content: bytes) -> None:
        self._written(lambda part: Disk.append(self, path, bytes(part)), content)

    def remove(self, path: Path) -> None:
        self._count()
        super().remove(path)

    def make_folder(self, path: Path) -> None:
        self._count()
        super().make_folder(path)

    def make_folders(self, path: Path) -> None:
        self._count()
        super().make_folders(path)

    def link(self, path: Path, target: str) -> None:
        self._count()
        super().link(path, target)

    def flush(self, path: Path) -> None:
        self._count()
        super().flush(path)

    def replace(self, path: Path, target: Path) -> None:
        self._count()
        super().replace(path, target)

    def flush_folder(self, path: Path) -> None:
        self._count()
        super().flush_folder(path)

    def flush_all(self, root: Path, files: Iterable[Path]) -> None:  # noqa: ARG002
        self._count()


class PowerCut(FailingDisk):
    """A failing disk that knows which files never reached it: what was not flushed when the power went."""

    def __init__(self, last: int, *, halves: bool) -> None:
        super().__init__(last, halves=halves)
        self._unflushed: set[Path] = set()

    def create(self, path: Path, content: bytes | memoryview, mode: int) -> None:
        self._unflushed.add(path)
        super().create(path, content, mode)

    def write_at(self, path: Path, content: bytes | memoryview, offset: int) -> None:
        self._unflushed.add(path)
        super().write_at(path, content, offset)

    def note(self, path: Path, content: bytes) -> None:
        self._unflushed.add(path)
        super().note(path, content)

    def replace(self, path: Path, target: Path) -> None:
        super().replace(path, target)
        # The worst there can be: of the files that were not flushed the journal alone reached the disk.
        if path in self._unflushed and target.suffix != ".journal":
            self._unflushed.add(target)

    def flush(self, path: Path) -> None:
        super().flush(path)
        self._unflushed.discard(path)

    def flush_all(self, root: Path, files: Iterable[Path]) -> None:
        super().flush_all(root, ())
        self._unflushed.difference_update(files)

    def lose(self) -> None:
        """Leave zeros where bytes never reached the disk, in files of their full size: what a file system may do."""
        for path in self._unflushed:
            if path.is_file() and not path.is_symlink():
                path.write_bytes(bytes(path.stat().st_size))


class Rebooted(Disk):
    """The disk after the machine was started again, whose power stays: nothing of it has to be waited for."""

    def flush_all(self, root: Path, files: Iterable[Path]) -> None: ...

    def boot(self) -> str:
        return "another"


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
        number = 0
        while True:
            home = tmp_path / "home"
            number += 1
            disk = PowerCut(number, halves=halves)
            try:
                make_whole(scene(packed.resources, home, disk))
            except PlugPulledError:
                disk.lose()
                make_whole(scene(packed.resources, home, Rebooted()))
                self.demand_ready(packed, home, whole)
                shutil.rmtree(home)
            else:
                break
        disk.lose()
        self.demand_ready(packed, home, whole)
        assert number > 40

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
