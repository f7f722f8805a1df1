"""Fixtures of the launcher's tests."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from launcher.whole import make_whole
from tests.builders.installed import scene
from tests.builders.packed_fixtures import harmed, home, installed, packed

if TYPE_CHECKING:
    from pathlib import Path

    from tests.builders.installed import Packed

__all__ = ["default", "harmed", "home", "installed", "packed"]


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
