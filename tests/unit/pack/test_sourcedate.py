"""The time that a build carries."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from pack.errors import ProgramFailed, SpecInvalid
from pack.pipeline import Act, run
from pack.progress import silent
from pack.sourcedate import source_date
from tests.builders.acts import deeds, workspace

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


@pytest.mark.parametrize("said", ["abc", "1700000000.5", "-1", "1e9", "9" * 12, "9" * 5000, "١٢٣", " 1"])
def test_what_is_no_time_is_refused_by_name(said: str, tmp_path: Path) -> None:
    with pytest.raises(SpecInvalid, match=r"^SOURCE_DATE_EPOCH: it has to be a whole number of seconds since 1970"):
        source_date(tmp_path, {"SOURCE_DATE_EPOCH": said})
    assert source_date(tmp_path, {"SOURCE_DATE_EPOCH": "253402300799"}) is not None


@pytest.mark.parametrize("act", [act for act in Act if act not in {Act.CHANNEL, Act.LOCK, Act.PREFIX}])
def test_what_is_no_time_is_refused_before_any_work(act: Act, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    did: list[Act] = []
    with pytest.raises(SpecInvalid):
        run(workspace(), act, silent, deeds=deeds(did))
    assert did == []


def test_signatures_that_git_is_set_to_show_are_no_time(checkout: Path) -> None:
    # A signed commit, and a verifier that has something to say of it; "commit" is the raw object's own form.
    raw = subprocess.run(["git", "cat-file", "commit", "HEAD"], cwd=checkout, capture_output=True, check=True).stdout
    head, _, message = raw.partition(b"\n\n")
    signed = head + b"\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----\n\n" + message
    made = ["git", "hash-object", "-t", "commit", "-w", "--stdin"]
    name = subprocess.run(made, cwd=checkout, input=signed, capture_output=True, check=True).stdout.decode().strip()
    verifier = checkout / "verifier"
    verifier.write_text("#!/bin/sh\necho 'gpg: Signature made once' >&2\n")
    verifier.chmod(0o755)
    for command in (
        ["update-ref", "HEAD", name],
        ["config", "log.showSignature", "true"],
        ["config", "gpg.program", str(verifier)],
    ):
        subprocess.run(["git", *command], cwd=checkout, check=True)
    assert source_date(checkout, {}) == COMMITTED


def test_sources_inside_the_checkout_of_something_else_have_no_date(checkout: Path) -> None:
    (checkout / "sources").mkdir()
    assert source_date(checkout / "sources", {}) is None


def test_a_checkout_that_a_link_leads_to_has_its_date(checkout: Path) -> None:
    (checkout / "link").symlink_to(checkout)
    assert source_date(checkout / "link", {}) == COMMITTED


def test_a_checkout_that_git_refuses_is_refused_in_git_s_own_words(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # git's own way to try what another's checkout brings
    with pytest.raises(ProgramFailed, match="dubious ownership") as caught:
        source_date(checkout, {})
    assert "SOURCE_DATE_EPOCH" in caught.value.remedy
    assert source_date(checkout, {"SOURCE_DATE_EPOCH": "0"}) == datetime(1970, 1, 1, tzinfo=UTC)


def test_a_checkout_without_a_commit_has_no_date(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    assert source_date(tmp_path, {}) is None


def test_sources_without_a_history_have_no_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert source_date(tmp_path, {}) is None
    monkeypatch.setenv("PATH", str(tmp_path))  # no git at all
    assert source_date(tmp_path, {}) is None
