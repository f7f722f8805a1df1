"""What verify finds, whatever is wrong: each data file and each critical package, by name and no other."""

from __future__ import annotations

import platform as python_platform
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from launcher.platforms import Platform
from pack.archive import CRITICAL
from pack.backendwheel import write_backend_wheel
from pack.checks import Runtime, check_files, check_versions
from pack.hostile import plain_place
from pack.layout import lay_out
from tests.builders.sources import SMALL_MANIFEST
from tests.builders.wheels import build_project

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands for the interpreter")

SETTINGS = settings(max_examples=100, deadline=None)
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,8}(\.(json|txt|yml|bin))?", fullmatch=True)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
FILES = st.dictionaries(PATHS, st.binary(max_size=200), min_size=1, max_size=6).filter(
    lambda files: not any(other.startswith(f"{path}/") for path in files for other in files)
)


@contextmanager
def runtime(packages: dict[str, str]) -> Iterator[Runtime]:
    """Give a runtime that promises these packages and has an interpreter and nothing else."""
    with tempfile.TemporaryDirectory() as scratch:
        manifest = SMALL_MANIFEST.but(platform=Platform.current(), packages=packages)
        found = Runtime(plain_place("here", Path(scratch)), manifest)
        python = found.slot / manifest.platform.python
        python.parent.mkdir(parents=True)
        python.write_text(f"#!/bin/sh\nPYTHONPATH='{found.site}' exec '{sys.executable}' -S \"$@\"\n")
        python.chmod(0o755)
        yield found


# Feature: python-backend-bundling, Property 7: data files
@SETTINGS
@given(files=FILES, choice=st.data())
def test_every_file_of_the_backend_is_inside_as_it_is_and_one_that_is_not_is_named(
    files: dict[str, bytes], choice: st.DataObject
) -> None:
    with runtime({"python": "3.11.0"}) as packed:
        project = build_project(packed.place.home / "project")
        for path, content in files.items():
            (project / "backend" / path).parent.mkdir(parents=True, exist_ok=True)
            (project / "backend" / path).write_bytes(content)
        wheel = write_backend_wheel(project, packed.place.home)
        lay_out(wheel, packed.slot, platform=packed.manifest.platform, python="3.11")

        checks = check_files(packed, project)
        assert {check.name for check in checks} >= {f"backend/{path}" for path in files}
        assert all(check.passed for check in checks)
        assert {path: (packed.site / "backend" / path).read_bytes() for path in files} == files

        harmed = choice.draw(st.sampled_from(sorted(files)))
        if choice.draw(st.booleans()):
            (packed.site / "backend" / harmed).unlink()
        else:
            (packed.site / "backend" / harmed).write_bytes(files[harmed] + b"!")
        wrong = {check.name: check.found for check in check_files(packed, project) if not check.passed}
        assert wrong.keys() == {f"backend/{harmed}"}
        assert wrong[f"backend/{harmed}"] in {"missing", "other bytes"}


# Feature: python-backend-bundling, Property 8: critical dependencies
@SETTINGS
@given(found=st.fixed_dictionaries({name: st.sampled_from(["1.0", "1.0+cpu", "2.0", None]) for name in CRITICAL[1:]}))
def test_a_critical_package_that_is_missing_or_of_another_version_is_named_and_no_other(
    found: dict[str, str | None],
) -> None:
    names = {"pytorch": "torch"}
    with runtime(dict.fromkeys(found, "1.0") | {"python": python_platform.python_version()}) as packed:
        for name, version in found.items():
            if version is not None:
                metadata = packed.site / f"{names.get(name, name)}-{version}.dist-info" / "METADATA"
                metadata.parent.mkdir(parents=True)
                metadata.write_text(f"Metadata-Version: 2.1\nName: {names.get(name, name)}\nVersion: {version}\n")
        wrong = {check.name for check in check_versions(packed) if not check.passed}
    assert wrong == {
        f"version of {names.get(name, name)}" for name, version in found.items() if version in {"2.0", None}
    }
