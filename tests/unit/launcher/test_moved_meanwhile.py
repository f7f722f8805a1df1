"""Whoever found a home just before it moved away goes on in the new place, and makes nothing anew in the old one."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from launcher.acts import remove
from launcher.disk import Disk
from launcher.errors import HomeNotWritable
from launcher.home import find_home, find_way
from launcher.locks import HomeLeft
from launcher.move import move_home
from launcher.whole import make_startable, make_surely_whole, make_whole
from tests.builders.installed import scene
from tests.builders.launching import command, running, tree, wait_for
from tests.builders.moving import launch, move
from tests.builders.runtime import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from launcher.disk import AnyPath
    from launcher.whole import Scene
    from tests.builders.installed import Packed

NOTHING_KEPT: dict[str, Any] = {"kept": None, "user_files_too": True}


class Commanding(Disk):
    """A disk that lets somebody else act just before the new place is noted, or just after."""

    def __init__(self, *, before: Callable[[], None] = lambda: None, after: Callable[[], None] = lambda: None) -> None:
        self._before, self._after = before, after

    def record(self, path: Path, content: bytes) -> None:
        if path.name == "location":
            self._before()
        super().record(path, content)
        if path.name == "location":
            self._after()


def test_a_launcher_that_waited_at_the_old_place_goes_on_at_the_new_one(
    packed: Packed, default: Path, tmp_path: Path
) -> None:
    waiting: list[subprocess.Popen[str]] = []

    def come() -> None:
        waiting.append(
            subprocess.Popen(
                command(packed.resources, default, "--repair"), cwd=ROOT, stdout=subprocess.PIPE, text=True
            )
        )
        wait_for(waiting[0], "waiting", pid=os.getpid())

    move(packed, tmp_path / "there", Commanding(before=come))
    output, _ = waiting[0].communicate(timeout=60)
    answer = json.loads(output.splitlines()[-1])
    assert (answer["found"], answer["slot"]) == ("moved", str(packed.slot(tmp_path / "there")))
    assert [path.name for path in default.iterdir()] == ["location"]


def test_a_start_that_found_the_home_just_before_it_moved_follows_it(
    packed: Packed, default: Path, harmed: Path, tmp_path: Path
) -> None:
    # The manifest is read once the home is found: from a pipe, the start gets no further than we want.
    manifest, gate = harmed / "manifest.json", tmp_path / "gate"
    content = manifest.read_bytes()
    os.mkfifo(gate)
    gate.replace(manifest)
    with running(harmed, default) as launcher:
        with manifest.open("wb") as stream:
            (tmp_path / "sound").write_bytes(content)
            (tmp_path / "sound").replace(manifest)
            move(packed, tmp_path / "there")
            stream.write(content)
        assert wait_for(launcher, "listening")["argv"][:2] == ["--data-dir", str(tmp_path / "there/data")]
    assert [path.name for path in default.iterdir()] == ["location"]


@pytest.mark.parametrize(
    "deed",
    [make_whole, make_startable, make_surely_whole, lambda at: remove(at.home, at.disk, at.report, **NOTHING_KEPT)],
    ids=["install", "start", "repair", "remove"],
)
@pytest.mark.parametrize("between", [False, True], ids=["the first home", "one in between"])
def test_a_home_that_moved_away_since_it_was_found_is_not_made_anew(
    between: bool, deed: Callable[[Scene], object], packed: Packed, default: Path, tmp_path: Path
) -> None:
    if between:
        move(packed, tmp_path / "second")
    at = scene(packed.resources, default).but(home=find_home(None, {}))
    move(packed, tmp_path / "third")
    before = tree(tmp_path)
    with suppress(HomeLeft):
        deed(at)
    assert tree(tmp_path) == before


def test_of_two_who_move_a_home_the_later_finds_that_it_has_gone(packed: Packed, default: Path, tmp_path: Path) -> None:
    way, found = find_way(None, {}), scene(packed.resources, default)
    move(packed, tmp_path / "there")
    with pytest.raises(HomeLeft):
        move_home(way, tmp_path / "elsewhere", Disk(), found.platform, found.report, packed.manifest)
    assert find_home(None, {}).root == tmp_path / "there"


def test_the_old_place_is_let_go_of_once_nothing_is_left_there(packed: Packed, default: Path, tmp_path: Path) -> None:
    held = []

    class Asking(Disk):
        def remove(self, path: AnyPath) -> None:
            if path in {default / "receipts", default / "lock"}:
                with (default / "lock").open() as lock, pytest.raises(BlockingIOError):
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                held.append(Path(path).name)
            super().remove(path)

    move(packed, tmp_path / "there", Asking())
    assert held == ["receipts", "lock"]


def test_the_same_command_again_finishes_what_was_cut_after_the_note(
    packed: Packed, default: Path, tmp_path: Path
) -> None:
    def cut() -> None:
        raise KeyboardInterrupt

    work = tree(default / "data")
    with pytest.raises(KeyboardInterrupt):
        move(packed, tmp_path / "there", Commanding(after=cut))
    assert launch(packed, "--move-home", str(tmp_path / "there")).last("result")["left"] == []
    assert tree(tmp_path / "there/data") == work


def test_notes_that_lead_in_a_circle_are_named(tmp_path: Path) -> None:
    for name, other in (("a", "b"), ("b", "a")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "location").write_text(str(tmp_path / other))
    with pytest.raises(HomeNotWritable, match="it leads back to"):
        find_home(tmp_path / "a", {})
