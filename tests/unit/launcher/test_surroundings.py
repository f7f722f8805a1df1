"""What a person is told of driver, folder and disk before an installation, and what of it stops one."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, cast

import pytest

from launcher.errors import HomeNotWritable
from launcher.host import cuda_driver, file_system
from launcher.manifest import Floor
from launcher.platforms import Platform
from launcher.surroundings import check_file_system, driver_warning, fat_warning, find_warnings, synced_by
from tests.builders.launching import ask

if TYPE_CHECKING:
    from tests.builders.installed import Packed

HOME = cast("Path", PurePosixPath("/home/ana/.local/share/peft-studio"))


@pytest.mark.parametrize(
    ("need", "found", "words"),
    [
        ("525", None, "No NVIDIA driver is installed: the engine will use the processor"),
        ("525", "470.82.01", "The NVIDIA driver is 470.82.01, and the GPU needs 525 or newer"),
        ("525.60", "525.59.9", "needs 525.60 or newer"),
        ("525", "525.60.13", None),
        ("525", "1000.1", None),
        ("525", "", None),
    ],
)
def test_a_driver_is_named_that_will_not_do(need: str, found: str | None, words: str | None) -> None:
    said = driver_warning(need, found)
    assert said is None if words is None else said is not None and words in said


def test_a_missing_driver_stops_nothing(harmed: Path, home: Path) -> None:
    header = json.loads((harmed / "manifest.json").read_bytes())
    header["floor"]["cudaDriver"] = "99999"  # newer than any, where this machine has one
    (harmed / "manifest.json").write_text(json.dumps(header))
    answer = ask(harmed, home, "--install")
    assert answer.status == 0
    warning = driver_warning("99999", cuda_driver())
    assert f"warning: {warning}" in answer.talk
    assert str(warning) in (home / "logs/launcher.log").read_text()
    assert ask(harmed, home, "--status").last("result")["warnings"] == [warning]


def test_a_runtime_for_the_processor_asks_for_no_driver(packed: Packed, home: Path) -> None:
    manifest = packed.manifest.but(floor=Floor())
    assert find_warnings(manifest, home, packed.manifest.platform, {}) == []


@pytest.mark.parametrize(
    ("folder", "service"),
    [
        (r"C:\Users\ana\OneDrive\Apps\peft", "OneDrive"),
        (r"C:\Users\ana\OneDrive - Contoso\peft", "OneDrive"),
        (r"C:\Users\ana\Dropbox (Personal)\peft", "Dropbox"),
        (r"C:\Users\ana\iCloudDrive\peft", "iCloud Drive"),
        (r"G:\Google Drive\peft", "Google Drive"),
        (r"D:\Contoso\peft", "OneDrive"),
        (r"D:\Contoso and more\peft", None),
        (r"C:\Users\ana\AppData\Local\peft-studio", None),
    ],
)
def test_on_windows_a_folder_that_is_copied_to_the_cloud_is_known(folder: str, service: str | None) -> None:
    environment = {"OneDriveCommercial": r"D:\contoso", "OneDrive": ""}
    assert synced_by(PureWindowsPath(folder), Platform.WIN_64, environment) == service


@pytest.mark.parametrize(
    ("folder", "service"),
    [
        ("/Users/ana/Library/Mobile Documents/com~apple~CloudDocs/peft", "iCloud Drive"),
        ("/Users/ana/Library/CloudStorage/GoogleDrive-ana@example.org/My Drive/peft", "Google Drive"),
        ("/Users/ana/Library/CloudStorage/OneDrive-Personal/peft", "OneDrive"),
        ("/home/ana/Dropbox/peft", "Dropbox"),
        ("/home/ana/dropboxes/peft", None),
        ("/Users/ana/Library/Application Support/peft-studio", None),
    ],
)
def test_elsewhere_too(folder: str, service: str | None) -> None:
    assert synced_by(PurePosixPath(folder), Platform.OSX_ARM64, {"OneDrive": "/home"}) == service


def test_a_home_in_such_a_folder_is_named_and_used(packed: Packed, tmp_path: Path) -> None:
    answer = ask(packed.resources, tmp_path / "Dropbox" / "home", "--install")
    assert answer.status == 0
    assert "lies in a folder that Dropbox copies" in answer.talk


@pytest.mark.parametrize("name", ["vfat", "exfat", "FAT32", "exFAT", "msdos"])
def test_a_fat_disk_is_named_on_windows_and_refused_elsewhere(name: str) -> None:
    assert name in str(fat_warning(HOME, name))
    check_file_system(HOME, name, Platform.WIN_64)
    with pytest.raises(HomeNotWritable, match=f"its file system, {name}, keeps neither links nor modes"):
        check_file_system(HOME, name, Platform.LINUX_64)


@pytest.mark.parametrize("name", ["ext4", "apfs", "NTFS", None])
def test_other_disks_are_fine(name: str | None) -> None:
    assert fat_warning(HOME, name) is None
    check_file_system(HOME, name, Platform.LINUX_64)


def test_a_folder_s_file_system_is_that_of_what_is_mounted_there_last(tmp_path: Path) -> None:
    for part in Path("/proc"), Path("/proc/self/fd"), Path("/proc/nothing/there"):
        assert file_system(part) == "proc"
    assert file_system(tmp_path / "not" / "there") == file_system(Path("/tmp"))


@pytest.mark.root
def test_a_mount_point_may_have_blanks_in_its_name(tmp_path: Path) -> None:
    place = tmp_path / "my disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", place], check=True)
    try:
        assert file_system(place / "home") == "tmpfs"
    finally:
        subprocess.run(["umount", place], check=True)
