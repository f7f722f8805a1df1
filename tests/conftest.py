"""What tests of the packed runtime share: the staged resources, and one installation of them."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from launcher.manifest import MANIFEST_NAME
from launcher.platforms import Platform
from pack.pipeline import read_manifest
from tests.builders.backend import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

    from launcher.manifest import Manifest

# How fast this machine is, and who else works on it, is no property of what is tested. Where CI decides, all are judged
# by the same examples; by hand each run looks for new ones.
settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize="CI" in os.environ
)
settings.load_profile("untimed")

# What these hold to is POSIX's own: flock, and pipes that end with their last writer.
collect_ignore = ["faults", "unit/launcher/test_ending_early.py"] if sys.platform == "win32" else []


@pytest.fixture(scope="session")
def resources() -> Path:
    """The staged resources. Tests must not change them: whoever needs to, copies."""
    folder = REPOSITORY / "dist" / Platform.current() / "resources"
    if not (folder / MANIFEST_NAME).exists():
        pytest.fail(f"{folder} is not built: run nox -s tests, or python -m pack stage --channel local")
    return folder


@pytest.fixture(scope="session")
def manifest(resources: Path) -> Manifest:
    return read_manifest(resources)


@pytest.fixture(scope="session")
def program(resources: Path) -> Path:
    """The staged launcher."""
    return resources / Platform.current().program


@pytest.fixture(scope="session")
def home(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the runtime installed, for tests that only use it."""
    home = tmp_path_factory.mktemp("shared home é")
    installed = subprocess.run([program, "--install", "--home", home], capture_output=True, text=True)
    assert installed.returncode == 0, installed.stderr
    return home


@pytest.fixture(scope="session")
def slot(home: Path, manifest: Manifest) -> Path:
    return home / "rt" / manifest.slot_name


@pytest.fixture(scope="session")
def runtime_python(slot: Path, manifest: Manifest) -> Path:
    """The interpreter of the packed runtime."""
    return slot / manifest.platform.python
