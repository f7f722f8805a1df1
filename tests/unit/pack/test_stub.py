"""The launcher, really frozen: what it does, what is in it, and that the same sources give the same files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PyInstaller.archive.readers import CArchiveReader

from launcher.cli import Act
from launcher.errors import HomeNotWritable
from launcher.manifest import MANIFEST_NAME
from launcher.platforms import Platform
from launcher.resources import file_digest
from pack.errors import ProgramFailed
from pack.progress import silent
from pack.stage import stage
from pack.stub import build_stub
from tests.builders.engine import size_of
from tests.builders.runtime import ROOT, make_resources

if TYPE_CHECKING:
    from collections.abc import Callable

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


def freeze(manifest: Path, folder: Path, *, sources: Path = ROOT, python: Path = Path(sys.executable)) -> Path:
    return build_stub(sources, manifest, folder, python=python, platform=HERE, release=VERSION, progress=silent)


def launch(resources: Path, *arguments: str, said: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [resources / HERE.program, *arguments],
        input=said,
        capture_output=True,
        text=True,
        env={"PATH": os.defpath},
        timeout=120,
    )


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


def test_every_act_is_done_without_what_was_left_out(
    resources: Path, archive: tuple[Path, Manifest], tmp_path: Path
) -> None:
    home = tmp_path / "home"
    slot = home / "rt" / archive[1].slot_name
    before: dict[Act, Callable[[], None]] = {Act.REPAIR: (slot / "lib/ballast.bin").unlink}
    told = {"move-home": str(tmp_path / "moved"), "support-report": str(tmp_path / "report.zip"), "remove": "--all"}
    for act in sorted(Act, key=lambda act: act is Act.REMOVE):
        before.get(act, lambda: None)()
        options = [] if act is Act.RUN else [f"--{act}", *([told[act]] if act in told else [])]
        done = launch(resources, *options, "--json", "--home", str(home), said="yes")
        assert done.returncode == 0, (act, done.stdout + done.stderr)


def test_a_mistake_of_each_kind_is_told_as_from_source(resources: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    wrong = launch(resources, "--nonsense")
    failed = launch(resources, "--install", "--traceback", "--home", str(tmp_path / "file"))
    assert wrong.returncode == 2
    assert "unrecognized arguments" in wrong.stderr
    assert failed.returncode == HomeNotWritable.exit_status
    assert "Traceback" in failed.stderr


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


def test_two_freezes_from_two_folders_give_the_same_files(
    archive: tuple[Path, Manifest], stub: Path, tmp_path: Path
) -> None:
    checkout = tmp_path / "another checkout"
    shutil.copytree(ROOT / "launcher", checkout / "launcher")
    again = freeze(archive[0] / MANIFEST_NAME, checkout / "stub", sources=checkout)
    one, other = files_of(stub), files_of(again)
    assert {path for path in one.keys() | other.keys() if one.get(path) != other.get(path)} == set()


def test_it_is_small_and_has_neither_network_nor_windows(stub: Path) -> None:
    names = " ".join(files_of(stub))
    assert size_of(stub) <= 16_000_000
    assert [
        name for name in ("ssl", "_socket", "tkinter", "sqlite", "_bz2", "_decimal", "ctypes") if name in names
    ] == []
    assert "libcrypto" in names


def test_the_manifest_s_digest_is_in_the_executable_itself(archive: tuple[Path, Manifest], stub: Path) -> None:
    program = CArchiveReader(str(stub / HERE.program))
    release = program.open_embedded_archive("PYZ.pyz").extract("peft_engine_release")
    assert file_digest(archive[0] / MANIFEST_NAME) in release.co_consts


def test_it_is_frozen_with_the_interpreter_that_is_named(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "asked for $2"\nexit 3\n')
    python.chmod(0o755)
    with pytest.raises(ProgramFailed, match="PyInstaller ended with status 3:\nasked for PyInstaller"):
        freeze(tmp_path / "manifest.json", tmp_path / "stub", python=python)


def test_a_stub_is_used_again_until_what_it_is_made_of_changes(
    archive: tuple[Path, Manifest], stub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pack.stub._freeze", lambda *_: pytest.fail("nothing has changed"))
    assert freeze(archive[0] / MANIFEST_NAME, stub.parent) == stub


def test_a_new_stub_takes_the_place_of_the_older_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def small(_: Path, work: Path, __: Path) -> None:
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
        freeze(tmp_path / "manifest.json", tmp_path / "stub", sources=tmp_path)
    assert not list(tmp_path.glob("stub*"))
