"""What a build says of how far it is, where nobody watches a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pack.console import ProgressLines

if TYPE_CHECKING:
    import pytest


def test_long_work_shows_each_tenth_once(capsys: pytest.CaptureFixture[str]) -> None:
    show = ProgressLines()
    for done in range(251):
        show("archive", done, 250)
        show("archive", done, 250)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [f"archive: {done} of 250" for done in range(0, 251, 25)]


def test_work_that_goes_on_after_other_work_shows_again(capsys: pytest.CaptureFixture[str]) -> None:
    show = ProgressLines()
    for step in (("verify", 1, 2), ("verify: imports", 0, 1), ("verify: imports", 1, 1), ("verify", 1, 2)):
        show(*step)
    assert capsys.readouterr().err.splitlines() == [
        "verify: 1 of 2", "verify: imports: 0 of 1", "verify: imports: 1 of 1", "verify: 1 of 2",
    ]  # fmt: skip


def test_work_of_nothing_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    ProgressLines()("stage", 0, 0)
    assert capsys.readouterr().err == "stage: 0 of 0\n"
