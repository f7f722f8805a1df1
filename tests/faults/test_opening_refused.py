"""The system refuses to open one file or folder after another, once or for ever: said as such, and nothing is lost."""

from __future__ import annotations

import json
import os
import shutil
from itertools import count
from typing import TYPE_CHECKING, NoReturn

import psutil
import pytest

from launcher.__main__ import main
from launcher.disk import Disk
from launcher.home import find_way
from tests.builders.launching import tree
from tests.builders.moving import TwoDisks
from tests.builders.refusals import refusing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.builders.installed import Packed
    from tests.builders.refusals import Refusal


class StartedError(BaseException):
    """The process would be a backend now."""


def become(*_: object) -> NoReturn:
    raise StartedError


class Machine:
    """One home with somebody's work in it, and acts of the launcher in this process."""

    def __init__(self, packed: Packed, folder: Path) -> None:
        self.resources = packed.resources
        self.home, self.there, self._sound = folder / "home", folder / "there", folder / "sound"
        self.slot = packed.slot(self.home)
        assert self.do("--install") == 0
        (self.home / "data/jobs").mkdir(parents=True)
        (self.home / "data/jobs/checkpoint").write_bytes(os.urandom(5000))
        self.runtime, self.work = tree(self.slot), tree(self.home / "data")

    def do(self, *arguments: str) -> int:
        """Do an act as a process of its own would, and return its exit status."""
        places = ["--resources", str(self.resources), "--home", str(self.home)]
        try:
            return main(["--json", *places, *arguments], dict(os.environ))
        except StartedError:
            return 0
        finally:
            for file in psutil.Process().open_files():  # which end with a process, and so do the locks on them
                if file.path.startswith((str(self.home), str(self.there))):
                    os.close(file.fd)

    def refusals(self, arguments: list[str], *, for_ever: bool) -> Iterator[tuple[int, Refusal]]:
        """Do an act from the same beginning again and again, refused one opening later each time, until none is."""
        shutil.copytree(self.home, self._sound, symlinks=True)
        for number in count(1):
            with refusing([self.home, self.there, self.resources], number, for_ever=for_ever) as refusal:
                status = self.do(*arguments)
            yield status, refusal
            if not refusal.refused:
                assert number > 10
                return
            shutil.rmtree(self.home)
            shutil.rmtree(self.there, ignore_errors=True)
            shutil.copytree(self._sound, self.home, symlinks=True)


def sound(_: Machine) -> None: ...


def not_installed(machine: Machine) -> None:
    shutil.rmtree(machine.home / "rt")
    shutil.rmtree(machine.home / "receipts")


def core_alone(machine: Machine) -> None:
    not_installed(machine)
    assert machine.do() == 0


def damaged(machine: Machine) -> None:
    (machine.slot / "lib/ballast.bin").write_text("harmed")
    (machine.slot / "etc/engine.conf").unlink()


def damaged_and_died(machine: Machine) -> None:
    damaged(machine)
    manifest = json.loads((machine.resources / "manifest.json").read_bytes())
    attempt = {"runtime": manifest["runtime"], "count": 1, "pid": 1}
    (machine.home / "attempt.json").write_text(json.dumps(attempt))


@pytest.fixture
def machine(packed: Packed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setattr("launcher.host.become", become)
    monkeypatch.setattr("launcher.host.spawn_behind", lambda *_: None)
    return Machine(packed, tmp_path)


@pytest.mark.parametrize("for_ever", [False, True], ids=["once", "for ever"])
@pytest.mark.parametrize(
    ("before", "arguments"),
    [
        (not_installed, ["--install"]),
        (core_alone, ["--install"]),
        (not_installed, []),
        (sound, []),
        (damaged_and_died, []),
        (damaged, ["--repair"]),
        (damaged, ["--verify"]),
        (sound, ["--remove"]),
    ],
)
def test_whatever_cannot_be_opened_is_an_error_that_the_next_repair_mends(
    before: Callable[[Machine], None], arguments: list[str], for_ever: bool, machine: Machine
) -> None:
    before(machine)
    for status, refusal in machine.refusals(arguments, for_ever=for_ever):
        assert status == 0 or 80 <= status <= 99, refusal.refused
        if status == 0 and arguments in (["--install"], ["--repair"]):
            assert machine.do("--verify") == 0, refusal.refused
        assert machine.do("--repair") == 0, refusal.refused
        assert tree(machine.slot) == machine.runtime, refusal.refused
        assert tree(machine.home / "data") == machine.work, refusal.refused


@pytest.mark.parametrize("for_ever", [False, True], ids=["once", "for ever"])
@pytest.mark.parametrize("arguments", [["--status"], ["--support-report", "FILE"]], ids=["status", "support report"])
def test_who_asks_is_answered_whatever_cannot_be_opened(
    arguments: list[str], for_ever: bool, machine: Machine, tmp_path: Path
) -> None:
    report = tmp_path / "report.zip"
    damaged(machine)
    arguments = [argument.replace("FILE", str(report)) for argument in arguments]
    for status, refusal in machine.refusals(arguments, for_ever=for_ever):
        assert status == 0, refusal.refused
        report.unlink(missing_ok=True)


@pytest.mark.parametrize("for_ever", [False, True], ids=["once", "for ever"])
@pytest.mark.parametrize("disk", [Disk, TwoDisks])
def test_a_home_that_moves_is_in_one_of_both_places_whatever_cannot_be_opened(
    disk: type[Disk], for_ever: bool, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("launcher.__main__.Disk", disk)
    seen = set()
    for status, refusal in machine.refusals(["--move-home", str(machine.there)], for_ever=for_ever):
        assert status == 0 or 80 <= status <= 99, refusal.refused
        assert machine.do("--repair") == 0, refusal.refused
        root = find_way(machine.home, {})[-1].root
        assert tree(root / "data") == machine.work, refusal.refused
        seen.add((status == 0, root))
    assert seen == {(False, machine.home), (False, machine.there), (True, machine.there)}
