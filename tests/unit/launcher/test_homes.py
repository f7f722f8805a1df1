"""A home that cannot be used is named with the system's own reason, and nothing of the user's is touched."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from launcher.disk import disk_errors
from launcher.errors import DiskFull, HomeNotWritable
from launcher.home import find_home
from tests.builders.disks import small_disk
from tests.builders.launching import ask, command
from tests.builders.runtime import ROOT

if TYPE_CHECKING:
    from tests.builders.installed import Packed


def test_a_file_in_the_homes_place_is_named_and_kept(packed: Packed, home: Path) -> None:
    home.write_text("my thesis")
    for arguments in ([], ["--install"], ["--repair"], ["--remove"], ["--status"]):
        answer = ask(packed.resources, home, *arguments)
        if answer.status:
            assert answer.code == "home-not-writable", arguments
            assert str(home) in answer.last("failed")["message"]
        assert home.read_text() == "my thesis"


@pytest.mark.parametrize("name", ["rt", "receipts", "logs"])
def test_a_file_in_the_place_of_a_folder_of_the_home_is_named_and_kept(name: str, packed: Packed, home: Path) -> None:
    home.mkdir()
    (home / name).write_text("in the way")
    answer = ask(packed.resources, home, "--install")
    assert answer.code == "home-not-writable"
    assert (home / name).read_text() == "in the way"


def test_a_home_without_the_right_to_write_is_named(packed: Packed, home: Path) -> None:
    home.mkdir(mode=0o555)
    answer = ask(packed.resources, home)
    assert answer.code == "home-not-writable"
    assert "Permission denied" in answer.last("failed")["message"]
    home.chmod(0o755)


def test_a_home_in_a_folder_that_is_closed_to_us_is_named(packed: Packed, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    for arguments in ([], ["--install"], ["--verify"], ["--repair"], ["--remove"]):
        answer = ask(packed.resources, closed / "home", *arguments)
        assert answer.code == "home-not-writable", arguments
        assert "Permission denied" in answer.last("failed")["message"]
    closed.chmod(0o755)


@pytest.mark.parametrize("name", ["rt", "receipts"])
def test_a_folder_of_the_home_that_is_closed_to_us_is_named(name: str, packed: Packed, installed: Path) -> None:
    (installed / name).chmod(0)
    for arguments in ([], ["--install"], ["--repair"], ["--remove"], ["--move-home", f"{installed} 2"]):
        answer = ask(packed.resources, installed, *arguments)
        assert answer.code == "home-not-writable", arguments
        assert "Permission denied" in answer.last("failed")["message"]
    for arguments in (["--verify"], ["--status"]):
        assert ask(packed.resources, installed, *arguments).status in {0, 86, 89}
    (installed / name).chmod(0o755)


@pytest.mark.root
def test_a_read_only_disk_is_named(packed: Packed, home: Path) -> None:
    with small_disk(home, "size=1m,ro"):
        answer = ask(packed.resources, home)
    assert answer.code == "home-not-writable"
    assert "Read-only file system" in answer.last("failed")["message"]


@pytest.mark.root
def test_a_disk_too_small_is_known_before_the_first_byte(packed: Packed, home: Path) -> None:
    with small_disk(home, "size=256k"):
        answer = ask(packed.resources, home)
        assert not packed.slot(home).exists()
    assert answer.code == "disk-full"
    failed = answer.last("failed")
    assert "0.26 MB" not in failed["remedy"]
    assert "kB are needed" in failed["message"]
    assert "Free at least" in failed["remedy"]


def test_a_home_with_a_name_too_long_for_any_file_system_is_named(packed: Packed, tmp_path: Path) -> None:
    answer = ask(packed.resources, tmp_path / ("x" * 300))
    assert answer.code == "home-not-writable"
    assert "File name too long" in answer.last("failed")["message"]
    assert "Shorten" in answer.last("failed")["remedy"]


@pytest.mark.parametrize("name", [b"caf\xe9", b"two\nlines"])
def test_a_home_whose_name_cannot_stand_in_a_text_file_is_refused(name: bytes, packed: Packed, tmp_path: Path) -> None:
    home = tmp_path / os.fsdecode(name)
    answer = ask(packed.resources, home, "--install")
    assert answer.code == "path-not-text"
    assert not home.exists(), "what is refused is left as it was"


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.EACCES, "Give your user the right to write there"),
        (errno.EROFS, "Make the disk writable"),
        (errno.EIO, "Have the disk checked"),
        (errno.EBUSY, "Close the program that uses it"),
        (errno.EEXIST, "Move away what stands in its place"),
        (errno.ENOTDIR, "Move away what stands in its place"),
        (errno.ELOOP, "Remove the links that lead in a circle"),
        (errno.ENAMETOOLONG, "Shorten the names of the folders"),
    ],
)
def test_the_remedy_fits_what_the_system_said(number: int, remedy: str, tmp_path: Path) -> None:
    with pytest.raises(HomeNotWritable) as raised, disk_errors(tmp_path):
        raise OSError(number, os.strerror(number), str(tmp_path / "rt"))
    assert raised.value.message == f"{tmp_path / 'rt'} cannot be written: {os.strerror(number)}."
    assert raised.value.remedy.startswith(remedy)
    assert raised.value.remedy.endswith(", or choose another folder with --home.")


def test_a_used_up_quota_is_not_taken_for_a_full_disk(tmp_path: Path) -> None:
    with pytest.raises(DiskFull, match="your share of it is used up"), disk_errors(tmp_path):
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))


def test_a_home_in_a_circle_of_links_is_named(packed: Packed, tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    answer = ask(packed.resources, tmp_path / "a" / "home", "--install")
    assert answer.code == "home-not-writable"
    assert "circle" in answer.last("failed")["remedy"]


def test_relative_homes_mean_the_folder_the_user_is_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_home(Path("here"), {}).root == tmp_path / "here"
    assert find_home(None, {"PEFT_STUDIO_HOME": "there"}).root == tmp_path / "there"


def test_the_home_is_the_one_chosen_then_the_variables_then_the_one_remembered_then_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    default = tmp_path / "peft-studio"
    assert find_home(None, {}).root == default
    default.mkdir()
    (default / "location").write_text(f"{tmp_path / 'big disk'}\n")
    (tmp_path / "big disk").mkdir()
    (tmp_path / "big disk/lock").touch()
    assert find_home(None, {}).root == tmp_path / "big disk"
    assert find_home(None, {"PEFT_STUDIO_HOME": "/from/variable"}).root.as_posix() == "/from/variable"
    assert find_home(tmp_path / "chosen", {"PEFT_STUDIO_HOME": "/from/variable"}).root == tmp_path / "chosen"


@pytest.mark.parametrize("content", [b"relative/folder", b"\xff\xfe", None])
def test_a_note_of_another_home_that_names_no_folder_is_an_error(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    note = tmp_path / "peft-studio" / "location"
    note.parent.mkdir()
    if content is None:
        note.mkdir()
    else:
        note.write_bytes(content)
    with pytest.raises(HomeNotWritable) as found:
        find_home(None, {})
    assert found.value.path == note


def test_an_empty_name_is_no_home(packed: Packed) -> None:
    run = subprocess.run(command(packed.resources, Path("x"), "--home", ""), cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 2
    assert "an empty name is no folder" in run.stderr
