"""The core alone, of the real runtime: the server starts in it, and answers every route."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from launcher.whole import make_startable
from pack.core import walk
from tests.builders.backend import running_backend
from tests.builders.installed import scene

if TYPE_CHECKING:
    from pathlib import Path

    from launcher.manifest import Manifest

pytestmark = pytest.mark.runtime


@pytest.fixture(scope="module")
def core(resources: Path, manifest: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A slot that holds the core and nothing else."""
    at_work = scene(resources, tmp_path_factory.mktemp("core"))
    make_startable(at_work)
    return at_work.home.slot(manifest.slot_name)


def test_it_is_a_small_part_of_the_runtime(core: Path, manifest: Manifest) -> None:
    assert sum(len(names) for _, _, names in os.walk(core)) == manifest.core < manifest.entries / 5
    assert not list(core.rglob("libtorch*"))


@pytest.mark.parametrize("token", ["given", None])
def test_the_server_starts_in_it_and_answers_every_route(
    core: Path, manifest: Manifest, tmp_path: Path, token: str | None
) -> None:
    python = core / manifest.platform.python
    # running_backend fails where the server's stderr holds a traceback, as a missing module's would be.
    with running_backend(python, tmp_path / "files", token=token, cwd=tmp_path) as backend:
        answers = walk(backend.port, token or (tmp_path / "files" / "token").read_text(encoding="ascii"))
        assert 500 not in answers.values()
        assert backend.get("/api/health").json()["status"] == "healthy"
