"""The launcher, really frozen: what it says, what it was frozen for, and that the same sources give the same files."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from launcher.manifest import MANIFEST_NAME
from launcher.platforms import Platform
from pack.errors import ProgramFailed
from pack.progress import silent
from pack.stage import stage
from pack.stub import build_stub
from tests.builders.runtime import ROOT, make_resources

if TYPE_CHECKING:
    from pathlib import Path

    from launcher.manifest import Manifest

HERE = Platform.current()
VERSION = "1.2.3"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    """A small archive and its manifest."""
    return make_resources(tmp_path_factory.mktemp("archive"), version=VERSION)


@pytest.fixture(scope="module")
def stub(archive: tuple[Path, Manifest], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The launcher, frozen for that archive."""
    return freeze(archive[0] / MANIFEST_NAME, tmp_path_factory.mktemp("stub") / "stub")


@pytest.fixture(scope="module")
def resources(archive: tuple[Path, Manifest], stub: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Staged resources, which no test may change."""
    place = tmp_path_factory.mktemp("staged") / "resources"
    stage(archive[0], stub, archive[1], place, silent)
    return place


@pytest.fixture
def copied(resources: Path, tmp_path: Path) -> Path:
    """Staged resources for this test to change."""
    return shutil.copytree(resources, tmp_path / "copied resources", symlinks=True)


def freeze(manifest: Path, folder: Path, release: str = VERSION) -> Path:
    return build_stub(ROOT, manifest, folder, platform=HERE, release=release, progress=silent)


def launch(resources: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([resources / HERE.program, *arguments], capture_output=True, text=True, env={})


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_it_says_which_version_it_is(resources: Path) -> None:
    said = launch(resources, "--version")
    assert said.returncode == 0, said.stderr
    assert VERSION in said.stdout


def test_it_explains_itself(resources: Path) -> None:
    said = launch(resources, "--help")
    assert said.returncode == 0, said.stderr
    for option in ("--install", "--verify", "--repair", "--status", "--remove", "--json"):
        assert option in said.stdout


def test_it_starts_beside_libraries_of_the_user_that_none_of_its_own_would_load(
    resources: Path, tmp_path: Path
) -> None:
    for library in (*(resources / "_internal").glob("*.so*"), *(resources / "_internal").glob("*.dylib")):
        (tmp_path / library.name).write_text("no library")
    search = dict.fromkeys(("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"), str(tmp_path))
    said = subprocess.run([resources / HERE.program, "--version"], capture_output=True, text=True, env=search)
    assert said.returncode == 0, said.stderr


def test_it_installs_and_verifies_the_archive_that_it_was_frozen_for(resources: Path, tmp_path: Path) -> None:
    for act in ("--install", "--verify"):
        done = launch(resources, act, "--json", "--home", str(tmp_path / "home"))
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("act", ["--install", "--verify"])
def test_it_refuses_a_manifest_that_it_was_not_frozen_for(copied: Path, tmp_path: Path, act: str) -> None:
    home = str(tmp_path / "home")
    assert launch(copied, "--install", "--home", home).returncode == 0
    manifest = copied / MANIFEST_NAME
    manifest.write_bytes(manifest.read_bytes() + b"\n")
    refused = launch(copied, act, "--json", "--home", home if act == "--verify" else f"{home} of another")
    failed: dict[str, Any] = json.loads(refused.stdout.splitlines()[-1])
    assert (failed["event"], failed["code"]) == ("failed", "manifest-invalid")
    assert "sha256" in failed["message"]


def test_two_freezes_give_the_same_files(archive: tuple[Path, Manifest], stub: Path, tmp_path: Path) -> None:
    again = freeze(archive[0] / MANIFEST_NAME, tmp_path / "another folder" / "stub")
    one, other = files_of(stub), files_of(again)
    assert {path for path in one.keys() | other.keys() if one.get(path) != other.get(path)} == set()


def test_a_stub_is_used_again_until_what_it_is_made_of_changes(
    archive: tuple[Path, Manifest], stub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pack.stub._freeze", lambda *_: pytest.fail("nothing has changed"))
    assert freeze(archive[0] / MANIFEST_NAME, stub.parent) == stub


def test_a_new_stub_takes_the_place_of_the_older_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def small(_: Path, work: Path) -> None:
        (work / "peft_engine").mkdir()
        shutil.copy("/bin/true", work / "peft_engine" / HERE.program)

    monkeypatch.setattr("pack.stub._freeze", small)
    manifest = tmp_path / "manifest.json"
    for content in ("{}", "[]"):
        manifest.write_text(content)
        made = freeze(manifest, tmp_path / "stub")
    assert [path.name for path in (tmp_path / "stub").iterdir()] == [made.name]


def test_a_launcher_that_does_not_start_once_frozen_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    (tmp_path / "launcher").mkdir()
    with pytest.raises(
        ProgramFailed, match=r"(?s)The frozen launcher ended with status 1:\n.*No module named 'launcher"
    ):
        build_stub(tmp_path, tmp_path / "manifest.json", tmp_path / "stub", platform=HERE, release="1", progress=silent)
    assert not list(tmp_path.glob("stub*"))
