"""The system refuses one change after another: said as such, nothing believed, and finished once it lets us."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

import pytest

from launcher.disk import Disk, disk_errors
from launcher.errors import DiskFull, HomeNotWritable, LauncherError
from launcher.plan import Launch, Ready
from launcher.survey import survey_quickly
from launcher.whole import make_surely_whole, make_whole
from tests.builders.disks import Rebooted, RefusingDisk
from tests.builders.installed import scene
from tests.builders.launching import tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.builders.installed import Packed


@pytest.mark.parametrize(
    ("number", "for_ever", "error"),
    [
        (errno.ENOSPC, True, DiskFull),
        (errno.EACCES, False, HomeNotWritable),
        (errno.EACCES, True, HomeNotWritable),
    ],
    ids=["full", "closed once", "closed for ever"],
)
def test_each_change_to_the_disk_may_be_refused(
    number: int, for_ever: bool, error: type[LauncherError], packed: Packed, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    make_whole(scene(packed.resources, home))
    whole = tree(packed.slot(home))
    refused_without_harm = 0
    for last in range(1, 1000):
        shutil.rmtree(home)
        disk = RefusingDisk(last, number, for_ever=for_ever)
        with suppress(error):
            make_whole(scene(packed.resources, home, disk))
            refused_without_harm += bool(disk.refused)
        # Wherever it was refused: what a receipt speaks of is there.
        assert packed.receipt(home).exists() == isinstance(quick(packed, home), Ready)
        make_whole(scene(packed.resources, home, Rebooted()))
        assert tree(packed.slot(home)) == whole
        assert isinstance(quick(packed, home), Ready)
        if not disk.refused:
            break
    assert last > 40
    assert not refused_without_harm


def quick(packed: Packed, home: Path) -> object:
    return survey_quickly(scene(packed.resources, home).home, packed.manifest)


def held(number: int | None = 32) -> PermissionError:
    """Return what Python raises on Windows where another program has a file open."""
    error = PermissionError(errno.EACCES, "The process cannot access the file because it is being used")
    error.winerror = number  # type: ignore[attr-defined,unused-ignore]
    return error


def refusing(
    deed: Callable[..., object], times: int, errors: list[PermissionError], number: int | None = 32
) -> Callable[..., object]:
    """Return a call that another program refuses so many times."""

    def refuse(*arguments: object, **named: object) -> object:
        if len(errors) < times:
            errors.append(held(number))
            raise errors[-1]
        return deed(*arguments, **named)

    return refuse


@pytest.mark.parametrize("times", [1, 3, 6])
@pytest.mark.parametrize("call", ["rename", "unlink"])
def test_a_file_that_an_antivirus_holds_is_tried_again(
    call: str, times: int, packed: Packed, installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (packed.slot(installed) / "lib/ballast.bin").write_text("harmed")
    errors: list[PermissionError] = []
    name = "replace" if call == "rename" else "unlink"
    with monkeypatch.context() as patch:
        patch.setattr(os, name, refusing(getattr(os, name), times, errors))
        patch.setattr("time.sleep", lambda _: None)
        make_surely_whole(scene(packed.resources, installed))
    assert len(errors) == times
    assert make_surely_whole(scene(packed.resources, installed)) == (Ready(), Launch())


@pytest.mark.parametrize("times", [1, 3, 6])
def test_a_file_that_an_antivirus_holds_is_opened_again(
    times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors: list[PermissionError] = []
    Disk().create(tmp_path / "entry", b"abc", 0o644)
    with monkeypatch.context() as patch:
        # C's open() has one word for all that keeps it from a file, and no number of Windows' own.
        patch.setattr(os, "open", refusing(os.open, times, errors, None))
        patch.setattr("time.sleep", lambda _: None)
        Disk().write_at(tmp_path / "entry", b"B", 1)
    assert len(errors) == times
    assert (tmp_path / "entry").read_bytes() == b"aBc"


def test_one_that_is_never_let_go_is_named_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "receipt.json"
    errors: list[PermissionError] = []
    monkeypatch.setattr("time.sleep", lambda _: None)
    monkeypatch.setattr(os, "replace", refusing(os.replace, 1000, errors))
    with pytest.raises(HomeNotWritable) as raised, disk_errors(tmp_path):
        Disk().record(path, b"{}")
    assert raised.value.remedy.startswith("Close the program that uses it (a virus scanner, a backup)")
    assert len(errors) < 20


def test_what_is_refused_for_good_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> NoReturn:
        calls.append(None)
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    calls: list[None] = []
    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(PermissionError):
        Disk().record(tmp_path / "receipt.json", b"{}")
    assert len(calls) == 1
