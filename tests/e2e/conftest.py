"""What tests of the backend with the runtime's interpreter share: material, a backend, and one training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.builders import models
from tests.builders.backend import Backend, run, running_backend
from tests.builders.models import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def material(runtime_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small models, one of 26 million parameters, and a dataset in a folder, which tests may add to."""
    folder = tmp_path_factory.mktemp("material")
    run(runtime_python, Path(models.__file__), folder, "--larger", "larger", "512", "3")
    return folder


@pytest.fixture(scope="session")
def backend(runtime_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """A backend without a network, which runs as it is installed: outside the checkout's folder."""
    folder = tmp_path_factory.mktemp("backend")
    with running_backend(runtime_python, folder / "data", environment={"HF_HUB_OFFLINE": "1"}, cwd=folder) as started:
        yield started


@pytest.fixture(scope="session")
def trained(backend: Backend, material: Path) -> dict[str, Any]:
    """Give a job that has completed."""
    body = {"model": str(material / "model"), "dataset": str(material / "dataset.jsonl"), **SETTINGS}
    job = backend.wait_for_job(backend.train(**body), "completed", "failed")
    assert job["state"] == "completed", job["error"]
    return job
