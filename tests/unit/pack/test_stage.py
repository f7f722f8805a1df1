"""The folder that Electron's builder copies: whole or not at all, and described as the app expects."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.platforms import Platform
from pack.progress import silent
from pack.stage import ENGINE_NAME, electron_platform, stage, write_engine
from tests.builders.runtime import make_resources
from tests.builders.sources import SMALL_MANIFEST

if TYPE_CHECKING:
    from pathlib import Path

    from launcher.manifest import Manifest


@pytest.fixture
def archive(tmp_path: Path) -> tuple[Path, Manifest]:
    return make_resources(tmp_path)


@pytest.fixture
def stub(tmp_path: Path) -> Path:
    """A program's folder, as a freeze leaves it."""
    folder = tmp_path / "stub"
    (folder / "_internal").mkdir(parents=True)
    (folder / Platform.current().program).write_bytes(b"the program")
    (folder / Platform.current().program).chmod(0o755)
    (folder / "_internal" / "library").write_bytes(b"a library")
    (folder / "_internal" / "link").symlink_to("library")
    return folder


def test_everything_is_there_and_the_program_can_be_run(archive: tuple[Path, Manifest], stub: Path) -> None:
    folder, manifest = archive
    place = folder.parent / "staged"
    stage(folder, stub, manifest, place, silent)
    names = {path.name for path in place.iterdir()}
    parts = {part.name for part in (*manifest.parts, manifest.index)}
    documents = {"manifest.json", "sbom.json", "licenses", ENGINE_NAME}
    assert names == parts | documents | {"_internal", manifest.platform.program}
    assert (place / manifest.platform.program).stat().st_mode & 0o111 == 0o111
    assert (place / "_internal" / "link").is_symlink()
    for part in (*manifest.parts, manifest.index):
        assert hashlib.sha256((place / part.name).read_bytes()).hexdigest() == part.sha256


def test_engine_json_says_what_the_app_asks(archive: tuple[Path, Manifest], stub: Path) -> None:
    folder, manifest = archive
    stage(folder, stub, manifest, folder.parent / "staged", silent)
    engine = json.loads((folder.parent / "staged" / ENGINE_NAME).read_text())
    assert engine == {
        "path": manifest.platform.program,
        "platform": electron_platform(manifest.platform),
        "version": "1.0",
        "size": len(b"the program"),
        "checksum": hashlib.sha256(b"the program").hexdigest(),
        "createdAt": manifest.created_at,
    }


def test_after_signing_engine_json_is_written_once_more(archive: tuple[Path, Manifest], stub: Path) -> None:
    write_engine(stub, archive[1])
    (stub / archive[1].platform.program).write_bytes(b"the program, signed")
    write_engine(stub, archive[1])
    engine = json.loads((stub / ENGINE_NAME).read_text())
    assert engine["checksum"] == hashlib.sha256(b"the program, signed").hexdigest()


def test_what_was_staged_before_is_replaced_as_a_whole(archive: tuple[Path, Manifest], stub: Path) -> None:
    place = archive[0].parent / "staged"
    place.mkdir()
    (place / "of an older release").touch()
    stage(archive[0], stub, archive[1], place, silent)
    assert not (place / "of an older release").exists()


def test_a_stage_that_fails_leaves_what_was_staged_before(archive: tuple[Path, Manifest], stub: Path) -> None:
    place = archive[0].parent / "staged"
    stage(archive[0], stub, archive[1], place, silent)
    (stub / archive[1].platform.program).unlink()
    with pytest.raises(FileNotFoundError):
        stage(archive[0], stub, archive[1], place, silent)
    assert (place / archive[1].platform.program).exists()
    assert not place.with_name("staged.new").exists()


def test_staged_files_are_copies(archive: tuple[Path, Manifest], stub: Path) -> None:
    place = archive[0].parent / "staged"
    stage(archive[0], stub, archive[1], place, silent)
    assert all(path.stat().st_nlink == 1 for path in place.rglob("*") if path.is_file())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes")
@pytest.mark.usefixtures("umask")
def test_all_may_read_it_whatever_the_builders_umask(archive: tuple[Path, Manifest], stub: Path) -> None:
    for path in (stub, *stub.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & 0o700)  # as a freeze leaves them there
    place = archive[0].parent / "staged"
    os.umask(0o077)
    stage(archive[0], stub, archive[1], place, silent)
    found = {path: path.stat().st_mode & 0o777 for path in (place, *place.rglob("*")) if not path.is_symlink()}
    program = place / archive[1].platform.program
    assert found == {path: 0o755 if path.is_dir() or path == program else 0o644 for path in found}


NAMES = {"linux": ("linux", "peft_engine"), "osx": ("darwin", "peft_engine"), "win": ("win32", "peft_engine.exe")}


# Feature: python-backend-bundling, Property 5: each platform's program has that platform's name, as Electron spells it.
@given(platform=st.sampled_from(list(Platform)), content=st.binary(max_size=100), version=st.text(max_size=10))
def test_each_platform_has_its_names(
    tmp_path_factory: pytest.TempPathFactory, platform: Platform, content: bytes, version: str
) -> None:
    electron, program = NAMES[platform.partition("-")[0]]
    folder = tmp_path_factory.mktemp("staged")
    (folder / program).write_bytes(content)
    write_engine(folder, SMALL_MANIFEST.but(platform=platform, version=version))
    engine = json.loads((folder / ENGINE_NAME).read_text(encoding="utf-8"))
    assert (engine["path"], engine["platform"], engine["version"]) == (program, electron, version)
    assert (engine["size"], engine["checksum"]) == (len(content), hashlib.sha256(content).hexdigest())
