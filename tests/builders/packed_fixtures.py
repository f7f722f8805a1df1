"""A small packed runtime, once for all tests of the launcher, and copies of it to harm."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from launcher.whole import make_whole
from tests.builders.installed import Packed, scene
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


@pytest.fixture
def default(packed: Packed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The default home, with a runtime and somebody's work in it."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    home = tmp_path / "share/peft-studio"
    make_whole(scene(packed.resources, home))
    (home / "data/jobs/é 1").mkdir(parents=True)
    (home / "data/jobs/é 1/checkpoint.bin").write_bytes(os.urandom(100_000))
    (home / "data/latest").symlink_to("jobs/é 1")
    (home / "data/token").write_text("secret")
    (home / "data/token").chmod(0o600)
    (home / "plugins").mkdir()
    (home / "plugins/connector.py").write_text("mine")
    os.utime(home / "data/token", (1_700_000_000, 1_700_000_000))
    (home / "data/empty").mkdir(mode=0o700)
    (home / "data/empty").chmod(0o700)
    return home
