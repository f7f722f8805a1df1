"""A small packed runtime, once for all tests of the launcher, and copies of it to harm."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.builders.installed import Packed
from tests.builders.launching import ask, packages
from tests.builders.runtime import make_resources

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Packed:
    """Resources that nobody changes."""
    return Packed(*make_resources(tmp_path_factory.mktemp("packed"), packages()))


@pytest.fixture
def harmed(packed: Packed, tmp_path: Path) -> Path:
    """A copy of the resources, for this test to harm."""
    return shutil.copytree(packed.resources, tmp_path / "harmed resources")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home that is not there yet, with a space and an accent in its name."""
    return tmp_path / "home é"


@pytest.fixture
def installed(packed: Packed, home: Path) -> Path:
    """A home with the runtime installed."""
    assert ask(packed.resources, home, "--install").status == 0
    return home
