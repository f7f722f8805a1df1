"""What is known before the first byte: whether the system is new enough, and the path fits."""

from __future__ import annotations

from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, cast

import pytest

from launcher.errors import PathNotText, PathTooLong, SystemTooOld
from launcher.manifest import Floor
from launcher.platforms import Platform
from launcher.preflight import check_path, check_system

if TYPE_CHECKING:
    from pathlib import Path

    from tests.builders.installed import Packed


def test_on_windows_the_longest_entry_has_to_fit_into_the_limit(packed: Packed) -> None:
    manifest = packed.manifest.but(longest_path=191)
    base = r"C:\Users\ana"
    fits = cast("Path", PureWindowsPath(base + "\\" + "x" * (259 - 191 - 1 - len(base) - 1)))
    check_path(fits, manifest, Platform.WIN_64, long_paths=False)
    with pytest.raises(PathTooLong, match="is too long: 68 characters where the engine can take 67") as raised:
        check_path(fits.with_name(fits.name + "x"), manifest, Platform.WIN_64, long_paths=False)
    assert "at least 1 characters shorter" in raised.value.remedy
    check_path(fits.with_name(fits.name + "x"), manifest, Platform.WIN_64, long_paths=True)


def test_elsewhere_the_path_has_to_fit_into_the_shortest_placeholder_of_a_binary(packed: Packed) -> None:
    manifest = packed.manifest.but(placeholder=40)
    check_path(cast("Path", PurePosixPath("/" + "x" * 39)), manifest, Platform.LINUX_64, long_paths=True)
    with pytest.raises(PathTooLong):
        check_path(cast("Path", PurePosixPath("/" + "é" * 20)), manifest, Platform.LINUX_64, long_paths=True)


def test_without_a_relocated_binary_any_length_will_do(packed: Packed) -> None:
    manifest = packed.manifest.but(placeholder=None)
    check_path(cast("Path", PurePosixPath("/" + "x" * 3000)), manifest, Platform.OSX_ARM64, long_paths=True)


@pytest.mark.parametrize(
    "name", ["日本語　全角", "no\u00a0break", "it's", 'a "quoted" name', "é space", "$HOME", "%TEMP%"]
)
def test_every_name_that_a_text_file_can_hold_is_fine(name: str, packed: Packed) -> None:
    check_path(cast("Path", PurePosixPath("/") / name), packed.manifest, Platform.LINUX_64, long_paths=True)


@pytest.mark.parametrize("name", ["caf\udce9", "two\nlines", "bell\a"])
def test_other_names_are_refused(name: str, packed: Packed) -> None:
    with pytest.raises(PathNotText):
        check_path(cast("Path", PurePosixPath("/") / name), packed.manifest, Platform.LINUX_64, long_paths=True)


class TestTheSystem:
    PATH = cast("Path", PurePosixPath("/resources/manifest.json"))

    @pytest.mark.parametrize(
        ("floor", "versions"),
        [
            (Floor(glibc="2.28"), {"glibc": "2.28"}),
            (Floor(glibc="2.9"), {"glibc": "2.36"}),
            (Floor(macos="11.0"), {"macOS": "14.6.1"}),
            (Floor(), {}),
            (Floor(cuda_driver="580"), {}),
        ],
    )
    def test_is_new_enough(self, floor: Floor, versions: dict[str, str], packed: Packed) -> None:
        check_system(packed.manifest.but(floor=floor), versions, self.PATH)

    @pytest.mark.parametrize(
        ("floor", "versions", "words"),
        [
            (Floor(glibc="2.28"), {"glibc": "2.17"}, "needs glibc 2.28 or newer; this computer has 2.17"),
            (Floor(glibc="2.28"), {}, "needs glibc 2.28 or newer; this computer has none"),
            (Floor(macos="14.0"), {"macOS": "13.7"}, "needs macOS 14.0 or newer; this computer has 13.7"),
        ],
        ids=["an old glibc", "musl", "an old macOS"],
    )
    def test_is_too_old(self, floor: Floor, versions: dict[str, str], words: str, packed: Packed) -> None:
        with pytest.raises(SystemTooOld, match=words):
            check_system(packed.manifest.but(floor=floor), versions, self.PATH)

    def test_names_its_own_version(self) -> None:
        (version,) = Platform.current().system_versions().values()
        assert all(number.isdecimal() for number in version.split("."))
        assert Platform.WIN_64.system_versions() == {}
