"""Licences: none is lost between a wheel and the folder that travels with a runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from rattler.package_streaming import extract

from launcher.platforms import Platform
from pack.condapackage import CondaPackage, write_package
from pack.layout import lay_out
from pack.licenses import is_license, license_named, write_licenses
from pack.wheel import Wheel
from tests.builders.wheels import build_wheel

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

INFO = "alpha-1.0.dist-info"


def texts(place: Path, files: Mapping[str, str]) -> dict[str, str]:
    """Take a wheel of these files all the way to the licences of a runtime; return their texts by name."""
    wheel = build_wheel(place, "alpha", files={"alpha.py": "", **files})
    found = lay_out(wheel, place / "files", platform=Platform.LINUX_64, python="3.11")
    package = CondaPackage("alpha", "1.0", "0", "linux-64")
    made = write_package(package, files=place / "files", channel=place / "channel", license_files=found)
    extract(made, place / "cache")
    return licenses_of(place, [{"name": "alpha", "version": "1.0", "link": {"source": str(place / "cache")}}])


def licenses_of(place: Path, packages: list[dict[str, Any]]) -> dict[str, str]:
    write_licenses(place, packages)
    folder = place / "licenses"
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


NO_PACKAGES = {"packages-without-files.txt": ""}


def test_files_of_one_name_in_two_folders_are_two(tmp_path: Path) -> None:
    files = {
        f"{INFO}/licenses/LICENSE": "of alpha",
        f"{INFO}/licenses/third_party/one/LICENSE": "of one",
        f"{INFO}/licenses/third_party/two/LICENSE": "of two",
        f"{INFO}/licenses/third_party/two/terms": "whatever it is called",
    }
    assert texts(tmp_path, files) == NO_PACKAGES | {
        "alpha-1.0/LICENSE": "of alpha",
        "alpha-1.0/third_party/one/LICENSE": "of one",
        "alpha-1.0/third_party/two/LICENSE": "of two",
        "alpha-1.0/third_party/two/terms": "whatever it is called",
    }


def test_files_in_the_older_place_and_beside_the_code_come_too(tmp_path: Path) -> None:
    files = {
        f"{INFO}/NOTICE.txt": "thanks",
        "alpha/LICENSE.md": "of alpha",
        "alpha/_vendor/beta-2.dist-info/licenses/LICENSE": "of beta",
        "alpha/license.py": "no licence",
    }
    assert texts(tmp_path, files) == NO_PACKAGES | {
        "alpha-1.0/NOTICE.txt": "thanks",
        "alpha-1.0/alpha/LICENSE.md": "of alpha",
        "alpha-1.0/alpha/_vendor/beta-2.dist-info/licenses/LICENSE": "of beta",
    }


def test_of_two_files_that_would_share_a_name_both_stay_unless_they_are_one(tmp_path: Path) -> None:
    same = {f"{INFO}/licenses/alpha/LICENSE": "once", "alpha/LICENSE": "once"}
    assert texts(tmp_path / "same", same) == NO_PACKAGES | {"alpha-1.0/alpha/LICENSE": "once"}
    other = {f"{INFO}/licenses/LICENSE": "new", f"{INFO}/LICENSE": "old"}
    assert sorted(texts(tmp_path / "other", other).values()) == ["", "new", "old"]


def test_a_package_without_files_is_listed_with_what_it_says_of_its_licence(tmp_path: Path) -> None:
    (tmp_path / "with" / "info" / "licenses").mkdir(parents=True)
    (tmp_path / "with" / "info" / "licenses" / "LICENSE").write_text("do as you like")
    packages = [
        {"name": "a", "version": "1", "license": "MIT", "link": {"source": str(tmp_path / "with")}},
        {"name": "b", "version": "2", "license": "BSD", "link": {"source": str(tmp_path / "without")}},
        {"name": "c", "version": "3", "link": {"source": str(tmp_path / "without")}},
    ]
    assert licenses_of(tmp_path, packages) == {
        "a-1/LICENSE": "do as you like",
        "packages-without-files.txt": "b 2: BSD\nc 3: it names no licence\n",
    }


@pytest.mark.parametrize(
    ("metadata", "named"),
    [
        (["License-Expression: MIT AND Zlib", "License: something else"], "MIT AND Zlib"),
        (["License: BSD", "Classifier: License :: OSI Approved :: MIT License"], "BSD"),
        (["Classifier: License :: OSI Approved :: Apache Software License"], "Apache Software License"),
        (["License: UNKNOWN", "Classifier: Typing :: Typed"], None),
        ([], None),
    ],
)
def test_a_wheel_s_licence_is_named_by_the_best_of_its_fields(
    tmp_path: Path, metadata: list[str], named: str | None
) -> None:
    assert Wheel.from_path(build_wheel(tmp_path, "alpha", metadata=metadata)).license == named


def test_an_older_field_may_hold_the_whole_text() -> None:
    assert license_named(None, "\nMIT License\n\nPermission is hereby granted …", ()) == "MIT License"


@pytest.mark.parametrize("path", ["a/LICENSE", "a/licence.txt", "COPYING.LESSER", "ThirdPartyNotices.txt", "x/AUTHORS"])
def test_a_licence_is_known_by_its_name(path: str) -> None:
    assert is_license(path)


@pytest.mark.parametrize("path", ["a/license.py", "licenses/readme", "a/unlicensed", "LICENSE/code"])
def test_what_only_speaks_of_licences_is_none(path: str) -> None:
    assert not is_license(path)
