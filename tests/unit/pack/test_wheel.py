"""A wheel becomes a conda package: its name, its needs, its files."""

from __future__ import annotations

import errno
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING
from zipfile import ZipFile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from rattler import MatchSpec, VersionSpec
from rattler import Version as CondaVersion

from launcher.platforms import Platform
from pack.errors import WheelInvalid
from pack.layout import lay_out
from pack.names import conda_name, match_specs, requirement
from pack.wheel import Wheel, marker_environment
from tests.builders.wheels import build_torch, build_wheel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LINUX = marker_environment(Platform.LINUX_64, "3.11.7")
WINDOWS = marker_environment(Platform.WIN_64, "3.11.7")


@pytest.mark.parametrize(
    ("conda", "wheel"),
    [("pytorch", "torch==2.0"), ("uvicorn-standard", "uvicorn[standard]==2.0"), ("sqlalchemy", "sqlalchemy==2.0")],
)
def test_a_package_is_asked_for_by_its_name_in_the_python_world(conda: str, wheel: str) -> None:
    assert requirement(conda, "2.0") == Requirement(wheel)


def test_a_package_is_called_as_conda_forge_calls_it() -> None:
    assert conda_name("Typing.Extensions") == "typing_extensions"
    assert conda_name("cuda-toolkit", "CUBLAS") == "cuda-toolkit-cublas"
    assert conda_name("never_heard.of") == "never-heard-of"


@pytest.mark.parametrize(
    ("asked", "conda"),
    [
        ("torch>=2.0,<3", ["pytorch <3,>=2.0"]),
        ("anyio~=4.5.1", ["anyio >=4.5.1,4.5.*"]),
        ("numpy==1.26.*", ["numpy 1.26.*"]),
        ("torch==2.13.0+cpu", ["pytorch ==2.13.0"]),
        ("idna", ["idna"]),
        ("cuda-toolkit[cublas,cudart]==13.2.1", ["cuda-toolkit-cublas ==13.2.1", "cuda-toolkit-cudart ==13.2.1"]),
    ],
)
def test_a_requirement_is_said_in_conda_s_words(asked: str, conda: list[str]) -> None:
    assert match_specs(Requirement(asked)) == conda


def test_markers_are_those_of_the_platform_that_is_packed_for(tmp_path: Path) -> None:
    wheel = Wheel.from_path(
        build_wheel(
            tmp_path,
            "alpha",
            requires=[
                "colorama; sys_platform == 'win32'",
                "uvloop>=0.15; sys_platform != 'win32' and platform_python_implementation == 'CPython'",
                "tomli; python_version < '3.11'",
                "triton; platform_machine == 'x86_64' and platform_system == 'Linux'",
            ],
        )
    )

    assert wheel.depends(LINUX) == ["triton", "uvloop >=0.15"]
    assert wheel.depends(WINDOWS) == ["colorama"]


def test_an_extra_adds_what_the_wheel_alone_does_not_need(tmp_path: Path) -> None:
    wheel = Wheel.from_path(
        build_wheel(tmp_path, "alpha", requires=["h11", "beta>=2; extra == 'more'", "h11; extra == 'more'"])
    )

    assert wheel.depends(LINUX) == ["h11"]
    assert wheel.depends(LINUX, "more") == ["alpha ==1.0", "beta >=2", "h11"]


@pytest.mark.parametrize(
    ("tag", "depends"),
    [
        ("cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64", ["__glibc >=2.27"]),
        ("cp311-cp311-manylinux2014_x86_64", ["__glibc >=2.17"]),
        ("cp311-cp311-macosx_14_0_arm64", ["__osx >=14.0"]),
        ("py3-none-any", []),
    ],
)
def test_a_wheel_s_tags_become_what_it_asks_of_the_system(tag: str, depends: list[str], tmp_path: Path) -> None:
    assert Wheel.from_path(build_wheel(tmp_path, "alpha", tag=tag)).depends(LINUX) == depends


def test_torch_says_itself_what_it_was_built_for(tmp_path: Path) -> None:
    cpu = Wheel.from_path(build_torch(tmp_path / "cpu", None, local="cpu"))
    cuda = Wheel.from_path(build_torch(tmp_path / "cuda", "13.2"))

    assert (cpu.build_prefix, cpu.conda_version, cpu.cuda) == ("cpu_", "2.13.0", None)
    assert (cuda.build_prefix, cuda.conda_version, cuda.cuda) == ("cuda132_", "2.13.0", "13.2")
    assert cuda.depends(LINUX) == ["__cuda >=13", "__glibc >=2.28"]
    assert cpu.depends(LINUX) == ["__glibc >=2.28"]


def test_what_a_wheel_says_of_itself_is_kept(tmp_path: Path) -> None:
    wheel = Wheel.from_path(
        build_wheel(
            tmp_path,
            "alpha",
            metadata=["Summary: Short.", "License-Expression: MIT", "Project-URL: Homepage, https://example.org"],
        )
    )

    assert (wheel.summary, wheel.license, wheel.homepage) == ("Short.", "MIT", "https://example.org")


@pytest.mark.parametrize("label", ["Source", "source code", "Source_Code", "Repository", "GitHub", "Code"])
def test_a_project_s_sources_are_found_by_whatever_it_calls_them(label: str, tmp_path: Path) -> None:
    pages = ["Home-page: https://example.org", f"Project-URL: {label}, https://example.org/sources, here"]
    wheel = Wheel.from_path(build_wheel(tmp_path, "alpha", metadata=pages))

    assert (wheel.homepage, wheel.repository) == ("https://example.org", "https://example.org/sources, here")


def test_a_project_s_other_pages_are_not_taken_for_its_sources(tmp_path: Path) -> None:
    pages = ["Project-URL: Issues, https://example.org/issues", "Project-URL: GitHub: issues, https://example.org/i"]
    wheel = Wheel.from_path(build_wheel(tmp_path, "alpha", metadata=pages))

    assert (wheel.homepage, wheel.repository) == (None, None)


@pytest.mark.parametrize("name", ["alpha-1.0-py3-none-any.whl", "alpha.whl"])
def test_a_file_that_is_no_wheel_is_named(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text("nothing")

    with pytest.raises(WheelInvalid, match=name):
        Wheel.from_path(path)


def test_files_scripts_and_data_lie_where_a_prefix_has_them(tmp_path: Path) -> None:
    wheel = build_wheel(
        tmp_path,
        "alpha",
        scripts={"alpha-run": "alpha:main"},
        files={
            "alpha/__init__.py": "def main():\n    print('ran')\n",
            "{data}/data/share/alpha/words": "words",
            "{data}/scripts/alpha-old": "#!python\nimport alpha\n",
        },
    )
    prefix = tmp_path / "a prefix"

    lay_out(wheel, prefix, platform=Platform.LINUX_64, python="3.11")

    (prefix / "bin" / "python").symlink_to(sys.executable)
    run = [str(prefix / "bin" / "alpha-run")]
    site = prefix / "lib" / "python3.11" / "site-packages"
    assert subprocess.run(run, env={"PYTHONPATH": str(site)}, capture_output=True, check=True).stdout == b"ran\n"
    assert (prefix / "share" / "alpha" / "words").read_text() == "words"
    assert (prefix / "bin" / "alpha-old").read_bytes().startswith(b"#!/bin/sh\n")
    assert "alpha-run" in (site / "alpha-1.0.dist-info" / "RECORD").read_text()


def test_windows_scripts_find_the_interpreter_above_them(tmp_path: Path) -> None:
    wheel = build_wheel(tmp_path, "alpha", scripts={"alpha-run": "alpha:main"})

    lay_out(wheel, tmp_path / "prefix", platform=Platform.WIN_64, python="3.11")

    program = (tmp_path / "prefix" / "Scripts" / "alpha-run.exe").read_bytes()
    assert program.startswith(b"MZ")
    assert rb"#!<launcher_dir>\..\python.exe" in program
    assert (tmp_path / "prefix" / "Lib" / "site-packages" / "alpha" / "__init__.py").exists()


def test_a_wheel_that_leaves_its_folder_is_refused(tmp_path: Path) -> None:
    wheel = build_wheel(tmp_path, "alpha", files={"../../../../out.py": "bad = True\n"})

    with pytest.raises(WheelInvalid, match="cannot be laid out"):
        lay_out(wheel, tmp_path / "prefix", platform=Platform.LINUX_64, python="3.11")
    assert not list(tmp_path.rglob("out.py"))


INFO = "alpha-1.0.dist-info"
RECORD = f"{INFO}/RECORD"


def spoil(wheel: Path, change: Callable[[dict[str, bytes]], object]) -> Path:
    """Write a wheel anew with other members, by name; those that are added stand in its RECORD."""
    with ZipFile(wheel) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    listed = members.copy()
    change(members)
    if members.get(RECORD) == listed[RECORD]:
        members[RECORD] += b"".join(b"%s,,\n" % name.encode() for name in members.keys() - listed.keys())
    with ZipFile(wheel, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return wheel


SPOILED: dict[str, Callable[[dict[str, bytes]], object]] = {
    "no WHEEL": lambda members: members.pop(f"{INFO}/WHEEL"),
    "no RECORD": lambda members: members.pop(RECORD),
    "entry points that are no table": lambda members: members.update({f"{INFO}/entry_points.txt": b"garbage"}),
    "entry points of no grammar": lambda members: members.update({f"{INFO}/entry_points.txt": b"[a]\nno value\n"}),
    "an entry point that leads nowhere": lambda members: members.update(
        {f"{INFO}/entry_points.txt": b"[console_scripts]\na = !\n"}
    ),
    "a RECORD of another form": lambda members: members.update({RECORD: b"a,b\n"}),
    "a file that is a folder too": lambda members: members.update({"a": b"", "a/b": b""}),
    "a folder that is a file too": lambda members: members.update({"a/b": b"", "a": b""}),
    "a name that no disk can hold": lambda members: members.update({"x" * 300: b""}),
    "a name of two lines": lambda members: members.update({"a\nb": b""}),
}


@pytest.mark.parametrize("change", SPOILED.values(), ids=SPOILED.keys())
def test_a_wheel_that_is_not_what_it_should_be_is_refused_by_name(
    change: Callable[[dict[str, bytes]], object], tmp_path: Path
) -> None:
    wheel = spoil(build_wheel(tmp_path, "alpha"), change)

    with pytest.raises(WheelInvalid, match=r"^alpha-1\.0-py3-none-any\.whl: its files cannot be laid out"):
        lay_out(wheel, tmp_path / "prefix", platform=Platform.LINUX_64, python="3.11")


def test_a_wheel_with_a_bit_changed_anywhere_is_read_or_refused_and_never_a_bug(tmp_path: Path) -> None:
    wheel = build_wheel(tmp_path / "wheels", "alpha", scripts={"run": "alpha:main"}, files={"alpha/__init__.py": ""})
    whole = wheel.read_bytes()
    for place in range(0, len(whole), 2):
        wheel.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with suppress(WheelInvalid):
            Wheel.from_path(wheel)
        with suppress(WheelInvalid):
            lay_out(wheel, tmp_path / f"{place}", platform=None, python="3.11")


def test_a_disk_that_is_full_is_not_the_wheel_s_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("installer.destinations.copyfileobj_with_hashing", full)
    with pytest.raises(OSError, match="No space left"):
        lay_out(build_wheel(tmp_path, "alpha"), tmp_path / "prefix", platform=Platform.LINUX_64, python="3.11")


releases = st.lists(st.integers(0, 30), min_size=2, max_size=3).map(lambda parts: ".".join(map(str, parts)))
clauses = st.builds("{}{}".format, st.sampled_from([">=", "<", "<=", ">", "==", "!=", "~="]), releases)


@given(st.lists(clauses, min_size=1, max_size=3, unique=True), releases)
def test_a_release_fits_in_conda_s_words_exactly_if_it_fits_in_python_s(asked: list[str], release: str) -> None:
    specifiers = ",".join(asked)
    (spec,) = match_specs(Requirement(f"alpha{specifiers}"))

    in_conda = VersionSpec(MatchSpec(spec).version or "*").matches(CondaVersion(release))

    assert in_conda == SpecifierSet(specifiers).contains(Version(release))
