"""The time that a build carries."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from pack.sourcedate import source_date

if TYPE_CHECKING:
    from pathlib import Path

COMMITTED = datetime(2020, 2, 3, 4, 5, 6, tzinfo=UTC)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with one commit."""
    (tmp_path / "a.py").write_text("")
    times = {"GIT_COMMITTER_DATE": COMMITTED.isoformat(), "GIT_AUTHOR_DATE": "2019-01-01T00:00:00Z"}
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    for command in (["init", "--quiet"], ["add", "a.py"], [*who, "commit", "--quiet", "--message", "a"]):
        subprocess.run(["git", *command], cwd=tmp_path, env={"PATH": "/usr/bin:/bin", **times}, check=True)
    return tmp_path


def test_a_checkout_is_as_old_as_its_last_commit_whenever_it_is_built(checkout: Path) -> None:
    (checkout / "build").mkdir()
    assert source_date(checkout, {}) == COMMITTED


def test_whoever_builds_may_say_it_otherwise(checkout: Path) -> None:
    said = source_date(checkout, {"SOURCE_DATE_EPOCH": "1700000000"})
    assert said == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


def test_sources_without_a_history_have_no_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert source_date(tmp_path, {}) is None
    monkeypatch.setenv("PATH", str(tmp_path))  # no git at all
    assert source_date(tmp_path, {}) is None
