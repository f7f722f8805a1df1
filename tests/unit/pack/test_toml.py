"""TOML files that say what to build, and are not what they should be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pack.backendwheel import write_backend_wheel
from pack.checks import Runtime, check_imports, check_programs
from pack.errors import SpecInvalid
from pack.hostile import plain_place
from pack.prune import read_rules
from tests.builders.sources import SMALL_MANIFEST
from tests.builders.wheels import build_project

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def prune(project: Path) -> object:
    return read_rules(project / "pack" / "prune.toml", "linux-64", "cpu", None)


def wheel(project: Path) -> object:
    return write_backend_wheel(project, project)


def imports(project: Path) -> object:
    return check_imports(runtime(project), project)


def programs(project: Path) -> object:
    return check_programs(runtime(project), project, project)


def runtime(project: Path) -> Runtime:
    """Return one that nobody gets to ask."""
    return Runtime(plain_place("", project), SMALL_MANIFEST)


READERS = [
    ("pyproject.toml", wheel, "[project]\nname = 'x'\n", "it lacks 'version'"),
    ("pyproject.toml", wheel, "project = 3\n", "it is not of the form"),
    ("pack/prune.toml", prune, "[[rule]]\nreason = 'x'\n", "it lacks 'paths'"),
    ("pack/prune.toml", prune, "", "it lacks 'rule'"),
    ("pack/smoke.toml", imports, "[[module]]\n", "it lacks 'name'"),
    ("pack/smoke.toml", programs, "[[program]]\nname = 'x'\n", "it lacks 'path'"),
]


@pytest.mark.parametrize(("name", "read", "text", "problem"), READERS)
def test_what_a_toml_file_lacks_is_named(
    name: str, read: Callable[[Path], object], text: str, problem: str, tmp_path: Path
) -> None:
    project = build_project(tmp_path / "project")
    (project / "pack").mkdir()
    path = project / name
    cases = [(text.encode(), problem), (b"[[", r"it is not TOML \("), (b"a = '\xff'", r"it is not TOML \(")]
    for content, said in cases:
        path.write_bytes(content)
        with pytest.raises(SpecInvalid, match=rf"^{path.name}: {said}"):
            read(project)
    path.unlink()
    with pytest.raises(SpecInvalid, match=rf"^{path.name}: there is no such file"):
        read(project)
