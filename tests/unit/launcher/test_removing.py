"""Remove takes the runtimes; the user's own work only with --all, and only after a yes."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.builders.launching import ask
from tests.builders.runtime import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.builders.installed import Packed


@pytest.fixture
def with_work(installed: Path) -> Path:
    (installed / "data").mkdir()
    (installed / "data/adapter.safetensors").write_text("weeks of work")
    return installed


def remove_all(resources: Path, home: Path, said: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", "launcher", "--resources", str(resources), "--home", str(home)]
    return subprocess.run([*program, "--remove", "--all"], cwd=ROOT, input=said, capture_output=True, text=True)


def test_the_runtimes_go_and_the_users_work_stays(packed: Packed, with_work: Path) -> None:
    (with_work / "rt/01dface5/bin").mkdir(parents=True)
    answer = ask(packed.resources, with_work, "--remove")
    assert answer.last("result")["removed"] == sorted([str(with_work / "rt/01dface5"), str(packed.slot(with_work))])
    assert not list((with_work / "rt").iterdir())
    assert not packed.receipt(with_work).exists()
    assert (with_work / "data/adapter.safetensors").exists()
    assert ask(packed.resources, with_work, "--status").last("result")["state"] == "missing"


def test_only_other_versions_go_where_that_is_asked(packed: Packed, with_work: Path) -> None:
    (with_work / "rt/01dface5/bin").mkdir(parents=True)
    answer = ask(packed.resources, with_work, "--remove", "--others")
    assert answer.last("result")["removed"] == [str(with_work / "rt/01dface5")]
    assert [slot.name for slot in (with_work / "rt").iterdir()] == [packed.slot(with_work).name]
    assert ask(packed.resources, with_work, "--status").last("result")["state"] == "ready"


def test_which_the_others_are_only_a_manifest_can_say(tmp_path: Path, packed: Packed, with_work: Path) -> None:
    answer = ask(tmp_path / "nowhere", with_work, "--remove", "--others")
    assert answer.last("failed")["code"] == "manifest-invalid"
    assert packed.slot(with_work).exists()


def test_nothing_to_remove_is_an_answer(packed: Packed, home: Path) -> None:
    assert ask(packed.resources, home, "--remove").last("result")["removed"] == []
    assert not home.exists()


def test_remove_needs_no_resources(tmp_path: Path, packed: Packed, with_work: Path) -> None:
    assert ask(tmp_path / "nowhere", with_work, "--remove").status == 0
    assert not packed.slot(with_work).exists()


@pytest.mark.parametrize("said", ["", "no\n", "y\n", "Y E S\n"])
def test_without_a_yes_all_stays(said: str, packed: Packed, with_work: Path) -> None:
    run = remove_all(packed.resources, with_work, said)
    assert run.returncode == 0
    assert f"Remove {with_work / 'data'} with all your work in it? Type yes to go on: " in run.stderr
    assert run.stdout == "removed  none\n"
    assert (with_work / "data/adapter.safetensors").exists()
    assert packed.slot(with_work).exists()


def test_where_nobody_can_answer_all_stays_and_the_answer_says_so(packed: Packed, with_work: Path) -> None:
    answer = ask(packed.resources, with_work, "--remove", "--all")
    assert (answer.status, answer.last("result")["removed"]) == (0, [])
    assert packed.slot(with_work).exists()


def test_with_a_yes_all_goes(packed: Packed, with_work: Path) -> None:
    assert remove_all(packed.resources, with_work, "yes\n").returncode == 0
    assert not (with_work / "data").exists()
    assert not packed.slot(with_work).exists()


def test_a_link_in_a_runtimes_place_is_removed_and_not_what_it_leads_to(
    packed: Packed, installed: Path, tmp_path: Path
) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("mine")
    (installed / "rt/linked").symlink_to(precious)
    assert ask(packed.resources, installed, "--remove").status == 0
    assert (precious / "file").read_text() == "mine"


def test_what_is_no_runtime_stays_where_somebody_else_put_it(packed: Packed, with_work: Path) -> None:
    (with_work / "rt/thesis").mkdir()
    (with_work / "rt/thesis/chapter.txt").write_text("years of work")
    answer = ask(packed.resources, with_work, "--remove")
    assert answer.last("result")["removed"] == [str(packed.slot(with_work))]
    assert (with_work / "rt/thesis/chapter.txt").exists()


def test_a_home_whose_receipts_are_gone_is_emptied_all_the_same(packed: Packed, with_work: Path) -> None:
    for path in (with_work / "receipts").iterdir():
        path.unlink()
    (with_work / "receipts").rmdir()
    assert ask(packed.resources, with_work, "--remove").status == 0
    assert not packed.slot(with_work).exists()
