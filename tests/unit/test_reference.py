"""docs/errors.md and docs/events.md say what the code says, and the program answers as they say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from launcher import errors
from launcher.errors import LauncherError
from pack.reference import ANSWERS, ROOT, pages
from tests.builders.launching import ask, packages
from tests.builders.runtime import make_resources

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("place", pages(), ids=str)
def test_the_page_is_what_the_code_says(place: Path) -> None:
    assert (ROOT / place).read_text(encoding="utf-8") == pages()[place], "run python -m pack.reference"


# Feature: python-backend-bundling, Property 10: specific error messages
def test_every_error_of_the_launcher_has_a_code_and_a_status_of_its_own() -> None:
    found = [cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, LauncherError)]
    found.remove(LauncherError)
    assert len({cls.code for cls in found}) == len({cls.exit_status for cls in found}) == len(found)
    assert all(80 <= cls.exit_status <= 99 for cls in found)
    assert errors.__doc__ is not None
    for cls in found:
        assert f"{cls.__name__:<20} {cls.code:<21} {cls.exit_status}\n" in errors.__doc__


def test_every_act_answers_with_the_members_that_the_page_names(tmp_path: Path) -> None:
    resources, _ = make_resources(tmp_path, packages())
    for act in ("install", "verify", "repair", "status", "remove"):
        answer = ask(resources, tmp_path / "home", f"--{act}").last("result")
        assert answer.keys() - {"v", "event", "act"} == ANSWERS[act].keys() - {"problem"}
    moved = ask(resources, tmp_path / "home", "--move-home", str(tmp_path / "elsewhere")).last("result")
    assert moved.keys() - {"v", "event", "act"} == ANSWERS["move-home"].keys()
    told = ask(resources, tmp_path / "home", "--support-report", str(tmp_path / "report.zip")).last("result")
    assert told.keys() - {"v", "event", "act"} == ANSWERS["support-report"].keys()
    (resources / "manifest.json").unlink()
    answer = ask(resources, tmp_path / "home", "--status").last("result")
    assert answer.keys() - {"v", "event", "act"} == {"version", "home", "location", "state", "problem"}
