"""A home that is moved to another folder or disk is found there by every start, with all that was in it."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from launcher.disk import Disk
from launcher.errors import DiskFull, HomeNotWritable, LauncherError, PathTooLong, PlaceUnusable
from launcher.home import find_home, find_way
from launcher.move import move_home
from launcher.platforms import Platform
from tests.builders.disks import small_disk
from tests.builders.installed import scene
from tests.builders.launching import ask, running, tree, wait_for
from tests.builders.moving import TwoDisks, launch, move

if TYPE_CHECKING:
    from collections.abc import Callable

    from launcher.disk import AnyPath
    from tests.builders.installed import Packed


def test_every_later_start_finds_it_there_and_adapts_the_runtime(packed: Packed, default: Path, tmp_path: Path) -> None:
    work, there = tree(default / "data"), tmp_path / "elsewhere/peft studio"
    answer = launch(packed, "--move-home", str(there))
    assert answer.last("result").items() >= {
        "act": "move-home", "from": str(default), "home": str(there), "copied": False, "left": []
    }.items()  # fmt: skip
    assert [path.name for path in default.iterdir()] == ["location"]
    assert tree(there / "data") == work
    assert (there / "plugins/connector.py").read_text() == "mine"
    status = launch(packed, "--status").last("result")
    assert (status["home"], status["state"]) == (str(there), "moved")
    started = launch(packed)
    assert started.states == ["moved"]
    assert started.last("listening")["config"] == f"root = {packed.slot(there)}/share\n"
    assert started.last("listening")["argv"][:2] == ["--data-dir", str(there / "data")]
    assert launch(packed, "--verify").status == 0


@pytest.mark.root
def test_to_another_disk_the_work_is_copied_and_compared_and_the_archive_brings_the_runtime(
    packed: Packed, default: Path, tmp_path: Path
) -> None:
    work = tree(default / "data")
    with small_disk(tmp_path / "disk", "size=50m") as there:
        answer = launch(packed, "--move-home", str(there))
        assert answer.last("result")["copied"] is True
        assert {event["name"] for event in answer.events if event["event"] == "step"} == {"restore", "verify", "remove"}
        assert [path.name for path in default.iterdir()] == ["location"]
        assert tree(there / "data") == work
        assert (there / "plugins/connector.py").read_text() == "mine"
        assert (there / "data/token").stat().st_mtime == 1_700_000_000
        # All of it at once: whoever works behind a backend ends a moment after it, and keeps the disk busy until then.
        assert launch(packed, "--install").status == 0
        assert launch(packed).last("listening")["config"] == f"root = {packed.slot(there)}/share\n"


def test_moved_back_it_leaves_nothing_elsewhere(packed: Packed, default: Path, tmp_path: Path) -> None:
    there = tmp_path / "elsewhere"
    work = tree(default / "data")
    move(packed, there)
    assert launch(packed, "--move-home", str(default)).status == 0
    assert not there.exists()
    assert not (default / "location").exists()
    assert tree(default / "data") == work
    assert launch(packed, "--status").last("result")["home"] == str(default)


def test_moved_on_the_folder_between_is_gone_and_the_default_names_the_last(
    packed: Packed, default: Path, tmp_path: Path
) -> None:
    move(packed, tmp_path / "second")
    move(packed, tmp_path / "third", TwoDisks())
    assert not (tmp_path / "second").exists()
    assert [home.root for home in find_way(None, {})] == [default, tmp_path / "third"]


@pytest.mark.parametrize("named", ["--home", "PEFT_STUDIO_HOME"])
def test_whoever_names_the_old_place_is_led_to_the_new_one(
    named: str, packed: Packed, installed: Path, tmp_path: Path
) -> None:
    (installed / "data").mkdir()
    (installed / "data/adapter").write_text("weeks of work")
    there = tmp_path / "elsewhere"
    chosen, environment = (installed, {}) if named == "--home" else (None, {"PEFT_STUDIO_HOME": str(installed)})
    found = scene(packed.resources, there)
    move_home(find_way(chosen, environment), there, Disk(), Platform.current(), found.report, packed.manifest)
    assert find_home(chosen, environment).root == there
    assert ask(packed.resources, installed).last("listening")["argv"][1] == str(there / "data")
    assert (there / "data/adapter").read_text() == "weeks of work"


def test_somebody_without_anything_installed_chooses_the_disk_first(
    packed: Packed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    assert launch(packed, "--move-home", str(tmp_path / "big")).status == 0
    assert launch(packed, "--install").last("result")["slot"].startswith(str(tmp_path / "big"))


def test_a_running_backend_is_named_and_nothing_is_moved(packed: Packed, default: Path, tmp_path: Path) -> None:
    before = tree(default / "data")
    with running(packed.resources, default) as backend:
        pid = wait_for(backend, "listening")["pid"]
        answer = launch(packed, "--move-home", str(tmp_path / "elsewhere"))
    assert answer.code == "busy"
    assert f"process {pid}" in answer.last("failed")["message"]
    assert tree(default / "data") == before
    assert find_home(None, {}).root == default


def _full(place: Path) -> None:
    (place / "elsewhere").mkdir()
    (place / "elsewhere/thesis.txt").write_text("mine")


def _file(place: Path) -> None:
    (place / "elsewhere").write_text("mine")


@pytest.mark.usefixtures("default")
@pytest.mark.parametrize(
    ("folder", "prepare", "error", "words"),
    [
        ("elsewhere", _full, PlaceUnusable, "it is not empty, it holds thesis.txt"),
        ("elsewhere", _file, PlaceUnusable, "it is no folder"),
        ("share/peft-studio", lambda _: None, PlaceUnusable, "it is the home already"),
        ("share/peft-studio/data/new", lambda _: None, PlaceUnusable, "lie in each other"),
        ("share", lambda _: None, PlaceUnusable, "lie in each other"),
        ("x" * 300, lambda _: None, HomeNotWritable, "File name too long"),
    ],
    ids=["holding files", "being a file", "the home", "in the home", "around the home", "too long"],
)
def test_a_place_that_will_not_do_is_refused_before_anything_is_touched(
    folder: str,
    prepare: Callable[[Path], None],
    error: type[LauncherError],
    words: str,
    packed: Packed,
    tmp_path: Path,
) -> None:
    prepare(tmp_path)
    before = tree(tmp_path)
    with pytest.raises(error, match=words):
        move(packed, tmp_path / folder)
    assert tree(tmp_path) == before


def test_a_place_with_too_long_a_path_for_the_runtime_is_refused(packed: Packed, default: Path, tmp_path: Path) -> None:
    found = scene(packed.resources, default)
    short = packed.manifest.but(placeholder=len(str(tmp_path)) + 20)
    with pytest.raises(PathTooLong):
        move_home(find_way(None, {}), tmp_path / "much too long", Disk(), found.platform, found.report, short)
    assert not (tmp_path / "much too long").exists()


def test_a_place_that_may_not_be_written_is_named(packed: Packed, default: Path, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    answer = ask(packed.resources, default, "--move-home", str(closed / "studio"))
    assert answer.code == "home-not-writable"
    assert "Permission denied" in answer.last("failed")["message"]
    assert find_home(None, {}).root == default


class WithoutLinks(TwoDisks):
    """A disk such as a FAT volume is to Linux."""

    def link(self, path: AnyPath, target: str) -> None:  # noqa: ARG002
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), path)


class WithoutModes(TwoDisks):
    """A disk such as some FAT volumes are: modes are taken, and forgotten."""

    def create(self, path: AnyPath, content: bytes | memoryview, mode: int) -> None:
        super().create(path, content, mode)
        Path(path).chmod(0o777)


class Small(TwoDisks):
    """A disk with little room."""

    def free(self, path: Path) -> int:  # noqa: ARG002
        return 150_000


@pytest.mark.parametrize(
    ("disk", "error", "words"),
    [
        (WithoutLinks(), PlaceUnusable, "keeps no links or no modes of files, as FAT does"),
        (WithoutModes(), PlaceUnusable, "keeps no links or no modes of files, as FAT does"),
        (Small(), DiskFull, "are needed, 150.0 kB are free"),
    ],
    ids=["links", "modes", "room"],
)
def test_a_disk_without(
    disk: Disk, error: type[LauncherError], words: str, packed: Packed, default: Path, tmp_path: Path
) -> None:
    before = tree(default / "data")
    with pytest.raises(error, match=words):
        move(packed, tmp_path / "elsewhere", disk)
    assert tree(default / "data") == before
    assert find_home(None, {}).root == default
    move(packed, tmp_path / "another")
    assert tree(tmp_path / "another/data") == before


class Forgetful(TwoDisks):
    """A disk that keeps other bytes than it was given, `times` times."""

    def __init__(self, times: int) -> None:
        self._times = times

    def copy(self, source: Path, path: Path) -> None:
        super().copy(source, path)
        if path.name == "checkpoint.bin" and self._times:
            self._times -= 1
            with path.open("r+b") as stream:
                stream.write(b"!")


def test_what_reads_back_as_something_else_is_written_again_and_then_the_disk_is_named(
    packed: Packed, default: Path, tmp_path: Path
) -> None:
    before = tree(default / "data")
    with pytest.raises(HomeNotWritable, match="reads back as something else") as raised:
        move(packed, tmp_path / "elsewhere", Forgetful(2))
    assert raised.value.path == tmp_path / "elsewhere/data/jobs/é 1/checkpoint.bin"
    assert (find_home(None, {}).root, tree(default / "data")) == (default, before)
    move(packed, tmp_path / "another", Forgetful(1))
    assert tree(tmp_path / "another/data") == before


def test_what_changed_since_a_move_was_cut_is_as_it_is_now(packed: Packed, default: Path, tmp_path: Path) -> None:
    there = tmp_path / "elsewhere"
    with pytest.raises(HomeNotWritable):
        move(packed, there, Forgetful(2))
    (default / "data/token").write_text("SECRET")
    (default / "data/jobs/é 1/checkpoint.bin").unlink()
    (default / "data/jobs/é 1").rmdir()
    (default / "data/jobs/é 1").write_text("a file where a folder was")
    (default / "data/latest").unlink()
    (default / "data/latest").mkdir()
    now = tree(default / "data")
    move(packed, there, TwoDisks())
    assert tree(there / "data") == now


def test_pipes_and_sockets_are_left_behind(packed: Packed, default: Path, tmp_path: Path) -> None:
    os.mkfifo(default / "data/pipe")
    move(packed, tmp_path / "elsewhere", TwoDisks())
    assert not (tmp_path / "elsewhere/data/pipe").exists()
    assert (tmp_path / "elsewhere/data/token").exists()


class Holding(TwoDisks):
    """A disk with a file that somebody holds fast."""

    def remove(self, path: AnyPath) -> None:
        path = Path(path)
        if path.name == "data" and path.parent.name == "peft-studio":
            raise PermissionError(errno.EBUSY, os.strerror(errno.EBUSY), path)
        super().remove(path)


def test_what_cannot_be_removed_is_named_and_does_no_harm(packed: Packed, default: Path, tmp_path: Path) -> None:
    there = tmp_path / "elsewhere"
    found = scene(packed.resources, there)
    move_home(find_way(None, {}), there, Holding(), Platform.current(), found.report, packed.manifest)
    answer = json.loads(found.report.answer.getvalue().splitlines()[-1])  # type: ignore[union-attr]
    assert answer["left"] == [str(default / "data")]
    assert find_home(None, {}).root == there


def test_other_peoples_files_in_the_old_folder_stay(packed: Packed, installed: Path, tmp_path: Path) -> None:
    (installed / "thesis.txt").write_text("mine")
    assert ask(packed.resources, installed, "--move-home", str(tmp_path / "there")).status == 0
    assert (installed / "thesis.txt").read_text() == "mine"


@pytest.mark.parametrize("arguments", [[], ["--repair"], ["--remove"]], ids=["start", "repair", "remove"])
def test_a_home_on_a_disk_that_is_not_connected_is_missed_and_no_other_made(
    arguments: list[str], packed: Packed, default: Path, tmp_path: Path
) -> None:
    there = tmp_path / "disk/studio"
    move(packed, there)
    away = (tmp_path / "disk").rename(tmp_path / "in a drawer")
    for mount_point in (False, True):
        if mount_point:
            there.mkdir(parents=True)  # as an empty folder of the system's own disk shows where a disk was
        before = tree(tmp_path)
        answer = launch(packed, *arguments)
        assert answer.code == "home-missing"
        assert str(there) in answer.last("failed")["message"]
        assert str(default / "location") in answer.last("failed")["remedy"]
        assert tree(tmp_path) == before
    there.rmdir()
    (tmp_path / "disk").rmdir()
    away.rename(tmp_path / "disk")
    assert launch(packed, "--install").status == 0
