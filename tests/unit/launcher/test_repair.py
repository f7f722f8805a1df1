"""Repair restores what is damaged, says what was wrong, and touches nothing else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from launcher.disk import Disk
from launcher.errors import ArchiveMissing
from launcher.plan import Core, Damaged, Launch, Moved, Partial, Ready, Restore
from launcher.survey import survey_fully, survey_quickly
from launcher.whole import make_startable, make_surely_whole, make_whole
from tests.builders.installed import DAMAGE_TO_FILES, DAMAGE_TO_LINKS, scene
from tests.builders.launching import ask, running, tree, wait_for
from tests.builders.prefix import SITE

if TYPE_CHECKING:
    from launcher.disk import AnyPath
    from tests.builders.installed import Packed

BALLAST = "lib/ballast.bin"
EMPTY = "lib/empty"
RELOCATED = "etc/engine.conf"
LINK = "lib/ballast.so"
SERVER = f"{SITE}/backend/__main__.py"


class Watched(Disk):
    """A disk that remembers what was written to it."""

    def __init__(self) -> None:
        self.written: set[str] = set()

    def create(self, path: AnyPath, content: bytes | memoryview, mode: int) -> None:
        self.written.add(Path(path).name)
        super().create(path, content, mode)

    def link(self, path: AnyPath, target: str) -> None:
        self.written.add(Path(path).name)
        super().link(path, target)


@pytest.mark.parametrize("damage", DAMAGE_TO_FILES)
@pytest.mark.parametrize("entry", [BALLAST, EMPTY])
def test_restores_a_file_that_is(damage: str, entry: str, packed: Packed, installed: Path) -> None:
    damaging, kind = DAMAGE_TO_FILES[damage]
    if entry == EMPTY and damage in {"changed", "cut short"}:
        damaging, kind = DAMAGE_TO_FILES["grown"]  # nothing else can happen to no bytes
    whole = tree(packed.slot(installed))
    damaging(packed.slot(installed) / entry)
    disk = Watched()
    state, plan = make_surely_whole(scene(packed.resources, installed, disk))
    assert isinstance(state, Damaged)
    assert [(found.path, found.kind.value) for found in state.damage] == [(entry, kind)]
    assert plan == Restore(frozenset({entry}), relocate=False)
    notes = {f"{packed.manifest.slot_name}.{kind}.new" for kind in ("json", "journal")}
    assert disk.written == {entry.split("/")[1], *notes}
    assert tree(packed.slot(installed)) == whole
    assert make_surely_whole(scene(packed.resources, installed)) == (Ready(), Launch())


@pytest.mark.parametrize("damage", DAMAGE_TO_LINKS)
def test_restores_a_link_that_is(damage: str, packed: Packed, installed: Path) -> None:
    damaging, kind = DAMAGE_TO_LINKS[damage]
    whole = tree(packed.slot(installed))
    damaging(packed.slot(installed) / LINK)
    state, _ = make_surely_whole(scene(packed.resources, installed))
    assert isinstance(state, Damaged)
    assert [(found.path, found.kind.value) for found in state.damage] == [(LINK, kind)]
    assert tree(packed.slot(installed)) == whole


@pytest.mark.parametrize("damage", DAMAGE_TO_FILES)
def test_restores_all_relocated_entries_and_relocates_again_where_one_is(
    damage: str, packed: Packed, installed: Path
) -> None:
    damaging, kind = DAMAGE_TO_FILES[damage]
    whole = tree(packed.slot(installed))
    damaging(packed.slot(installed) / RELOCATED)
    state, plan = make_surely_whole(scene(packed.resources, installed))
    assert isinstance(state, Damaged)
    # Its size as packed says nothing of its size as relocated.
    assert [(found.path, found.kind.value) for found in state.damage] == [
        (RELOCATED, "changed" if kind == "wrong-size" else kind)
    ]
    assert isinstance(plan, Restore)
    assert plan.relocate
    assert tree(packed.slot(installed)) == whole


def test_restores_a_folder_that_is_gone_a_file_or_a_link(packed: Packed, installed: Path, tmp_path: Path) -> None:
    whole = tree(packed.slot(installed))
    folder = packed.slot(installed) / "share/é space"
    for put in (lambda: None, lambda: folder.write_text("file"), lambda: folder.symlink_to(tmp_path)):
        (folder / "日本.txt").unlink()
        folder.rmdir()
        put()
        make_surely_whole(scene(packed.resources, installed))
        assert tree(packed.slot(installed)) == whole
    assert "日本.txt" not in {path.name for path in tmp_path.iterdir()}, "a link was followed out of the slot"


def test_never_writes_through_a_link_that_stands_in_a_files_place(
    packed: Packed, installed: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")
    entry = packed.slot(installed) / BALLAST
    entry.unlink()
    entry.symlink_to(outside)
    assert ask(packed.resources, installed, "--repair").status == 0
    assert outside.read_text() == "mine"


def test_restores_what_cannot_be_read_and_opens_a_folder_that_was_closed(packed: Packed, installed: Path) -> None:
    whole = tree(packed.slot(installed))
    (packed.slot(installed) / BALLAST).chmod(0)
    (packed.slot(installed) / "share/é space").chmod(0)
    answer = ask(packed.resources, installed, "--repair").last("result")
    assert answer["did"] == "restored"
    assert answer["byKind"] == {"wrong-mode": 1, "unreadable": 1}
    assert tree(packed.slot(installed)) == whole


def test_leaves_extra_files_alone_and_verify_reports_them(packed: Packed, installed: Path, tmp_path: Path) -> None:
    slot = packed.slot(installed)
    (slot / "lib/mine.txt").write_text("mine")
    (slot / "lib/shortcut").symlink_to(tmp_path)
    assert ask(packed.resources, installed, "--repair").last("result")["did"] == "nothing"
    assert ask(packed.resources, installed, "--verify").last("result")["extra"] == ["lib/mine.txt", "lib/shortcut"]
    assert (slot / "lib/mine.txt").read_text() == "mine"


def test_says_what_was_wrong_by_kind_what_was_done_and_where_the_log_is(packed: Packed, installed: Path) -> None:
    DAMAGE_TO_FILES["missing"][0](packed.slot(installed) / BALLAST)
    DAMAGE_TO_FILES["grown"][0](packed.slot(installed) / EMPTY)
    result = ask(packed.resources, installed, "--repair").last("result")
    assert result["found"] == "damaged"
    assert result["damaged"] == 2
    assert result["byKind"] == {"missing": 1, "wrong-size": 1}
    assert result["first"] == [BALLAST, EMPTY]
    assert (result["did"], result["restored"]) == ("restored", 2)
    assert "survey" in (installed / "logs/launcher.log").read_text()
    assert result["log"] == str(installed / "logs/launcher.log")


def test_installs_where_nothing_is_installed(packed: Packed, home: Path) -> None:
    result = ask(packed.resources, home, "--repair").last("result")
    assert (result["found"], result["did"]) == ("missing", "installed")


def test_mends_a_runtime_whose_receipt_is_gone_or_harmed(packed: Packed, installed: Path) -> None:
    receipt = packed.receipt(installed)
    sound = receipt.read_bytes()
    for harm in (None, b"{", b"[" * 100_000, b"\xff", "folder"):
        receipt.unlink()
        if harm == "folder":
            receipt.mkdir()
        elif isinstance(harm, bytes):
            receipt.write_bytes(harm)
        assert isinstance(survey_quickly(scene(packed.resources, installed).home, packed.manifest), Partial)
        state, plan = make_surely_whole(scene(packed.resources, installed))
        assert isinstance(state, Partial)
        assert isinstance(plan, Restore)
        assert receipt.read_bytes() == sound


def test_a_receipt_that_vouches_for_other_contents_is_found_out(packed: Packed, installed: Path) -> None:
    receipt = packed.receipt(installed)
    receipt.write_text(receipt.read_text().replace('"etc/engine.conf"', '"bin/tool2"'))
    state, _ = make_surely_whole(scene(packed.resources, installed))
    assert isinstance(state, Damaged)
    assert RELOCATED in {found.path for found in state.damage}
    assert ask(packed.resources, installed, "--verify").status == 0


def lose(resources: Path, *numbers: int) -> None:
    """Remove parts of the archive: the first holds all of the core, and the ballast begins in it."""
    for number in numbers:
        (resources / f"runtime.tar.zst.{number:03}").unlink()


def test_without_the_archive_names_all_it_needs_and_where_it_looked_and_changes_nothing(
    harmed: Path, packed: Packed, installed: Path
) -> None:
    (packed.slot(installed) / BALLAST).unlink()
    (packed.slot(installed) / SERVER).unlink()
    damaged = tree(packed.slot(installed))
    lose(harmed, 2, 3)
    answer = ask(harmed, installed, "--repair")
    failed = answer.last("failed")
    assert (answer.code, failed["path"]) == ("archive-missing", str(harmed / "runtime.tar.zst.002"))
    missing = f"runtime.tar.zst.002 is missing from {harmed}, and 1 more of its parts"
    assert failed["message"] == f"{missing}; needed from there: {BALLAST}."
    assert answer.last("survey")["damaged"] == [SERVER, BALLAST]
    assert answer.last("lacking")["entries"] == [BALLAST], "the other one lies in a part that is there"
    assert f'"entries": ["{BALLAST}"]' in (installed / "logs/launcher.log").read_text()
    assert tree(packed.slot(installed)) == damaged
    assert packed.receipt(installed).exists(), "what cannot be mended must not be made worse"


def test_names_what_a_moved_home_needs_though_no_entry_of_it_is_damaged(
    harmed: Path, installed: Path, tmp_path: Path
) -> None:
    moved = installed.rename(tmp_path / "elsewhere")
    lose(harmed, 1)
    for arguments in ([], ["--repair"], ["--install"]):
        answer = ask(harmed, moved, *arguments)
        assert answer.code == "archive-missing"
        assert answer.last("lacking")["entries"] == [RELOCATED]


def test_needs_those_parts_of_the_archive_alone_that_hold_what_is_damaged(
    harmed: Path, packed: Packed, installed: Path
) -> None:
    whole = tree(packed.slot(installed))
    (packed.slot(installed) / SERVER).write_text("harmed")
    lose(harmed, 2, 3)
    (harmed / "runtime.tar.zst.004").write_bytes(b"cut short")
    assert ask(harmed, installed, "--repair").last("result")["did"] == "restored"
    assert tree(packed.slot(installed)) == whole


def test_mends_a_core_for_which_the_rest_cannot_come_and_begins_none(harmed: Path, packed: Packed, home: Path) -> None:
    make_startable(scene(harmed, home))
    lose(harmed, 2)
    (packed.slot(home) / "bin/python3.11").unlink()
    make_startable(scene(harmed, home))
    assert survey_quickly(scene(harmed, home).home, packed.manifest) == Core()
    with pytest.raises(ArchiveMissing) as raised:
        make_whole(scene(harmed, home))
    assert BALLAST in raised.value.needed
    other = home.with_name("another home")
    with pytest.raises(ArchiveMissing):
        make_startable(scene(harmed, other))
    assert not packed.slot(other).exists(), "a core that nothing can follow is not begun"


def test_does_nothing_while_a_backend_runs_and_names_it(packed: Packed, installed: Path) -> None:
    with running(packed.resources, installed) as backend:
        pid = wait_for(backend, "listening")["pid"]
        for act in ("--repair", "--remove"):
            answer = ask(packed.resources, installed, act)
            assert answer.code == "busy"
            assert f"process {pid}" in answer.last("failed")["message"]
    assert ask(packed.resources, installed, "--repair").status == 0


def test_a_moved_home_is_found_with_all_its_damage(packed: Packed, installed: Path, tmp_path: Path) -> None:
    before = packed.slot(installed)
    moved = installed.rename(tmp_path / "elsewhere")
    (packed.slot(moved) / BALLAST).unlink()
    at_work = scene(packed.resources, moved)
    index = at_work.read_index()
    state = survey_fully(at_work.home, packed.manifest, index.entries, lambda *_: None)
    assert isinstance(state, Moved)
    assert state.recorded == str(before)
    assert [found.path for found in state.damage] == [BALLAST]
    make_surely_whole(at_work)
    assert (packed.slot(moved) / RELOCATED).read_text() == f"root = {packed.slot(moved)}/share\n"
    assert os.environ.get("CONDA_PREFIX") != str(packed.slot(moved))
    assert make_surely_whole(at_work) == (Ready(), Launch())
