"""Models are removed when asked to, and neither while something works with them nor outside their folders."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.builders.backend import Backend, running_backend
from tests.builders.hub import model_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

FETCHED = "tester/tiny"
# Stands for torch, so that a job is at work for as long as a test wants it to be.
WAITING = """
import time
from pathlib import Path
while not Path({go!r}).exists():
    time.sleep(0.02)
raise ImportError("enough")
"""


@pytest.fixture
def go(tmp_path: Path) -> Path:
    """Whose existence ends the job at work."""
    return tmp_path / "go"


@pytest.fixture
def backend(tmp_path: Path, go: Path) -> Iterator[Backend]:
    (tmp_path / "torch.py").write_text(WAITING.format(go=str(go)))
    environment = {"PYTHONPATH": str(tmp_path), "HF_HUB_CACHE": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1"}
    with running_backend(Path(sys.executable), tmp_path / "data", environment=environment) as started:
        yield started


def test_a_model_of_the_models_folder_is_deleted_and_its_neighbours_stay(backend: Backend) -> None:
    models = backend.data_dir / "models"
    for name in ("mine", "other"):
        model_folder(models / name, (2, 3))
    assert backend.call("DELETE", "/api/models/local/mine").json() == {"deleted": [str(models / "mine")]}
    assert [path.name for path in models.iterdir()] == ["other"]
    assert [one["model_name"] for one in backend.get("/api/models/local").json()["models"]] == ["other"]
    again = backend.call("DELETE", "/api/models/local/mine")
    assert (again.status_code, again.json()["code"]) == (404, "model-unknown")


@pytest.mark.parametrize("name", ["%2e%2e", "%2e", ".hidden", "..%5Cadapters", "%00"])
def test_no_name_leads_out_of_the_models_folder(backend: Backend, name: str) -> None:
    for place in ("models/mine", "models/.hidden", "adapters/kept"):
        model_folder(backend.data_dir / place, (2, 3))
    answer = backend.call("DELETE", f"/api/models/local/{name}")
    assert (answer.status_code, answer.json()["code"]) == (404, "model-unknown")
    assert len(list(backend.data_dir.glob("*/*/model.safetensors"))) == 3


def test_a_model_that_a_job_holds_cannot_be_deleted_while_the_job_could_be_resumed(
    backend: Backend, tmp_path: Path, go: Path
) -> None:
    snapshot = tmp_path / "cache" / "models--tester--tiny" / "snapshots" / "0123"
    local = backend.data_dir / "models" / "mine"
    model_folder(snapshot, (2, 3))
    model_folder(local, (2, 3))
    dataset = tmp_path / "rows.jsonl"
    dataset.write_text('{"text": "one"}\n')
    running = backend.train(model=FETCHED, dataset=str(dataset))
    queued = backend.train(model=str(local), dataset=str(dataset))
    backend.wait_for_job(running, "running")
    for place, job in ((f"cache/{FETCHED}", running), ("cache", running), ("local/mine", queued)):
        refused = backend.call("DELETE", f"/api/models/{place}")
        assert (refused.status_code, refused.json()["code"]) == (409, "model-in-use")
        assert job in refused.json()["message"]
    assert snapshot.is_dir()
    assert local.is_dir()
    go.touch()
    for job in (running, queued):
        backend.wait_for_job(job, "failed")
        assert backend.call("DELETE", f"/api/models/cache/{FETCHED}").json()["code"] == "model-in-use"  # to resume
    for job in (running, queued):
        backend.call("DELETE", f"/api/training/{job}")
    assert backend.call("DELETE", f"/api/models/cache/{FETCHED}").json() == {"deleted": [FETCHED]}
    assert backend.call("DELETE", "/api/models/local/mine").status_code == 200
    assert not snapshot.exists()
    assert not local.exists()


def test_a_model_that_cannot_be_read_hides_no_other(backend: Backend, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    for name in ("dangling", "whole", "torn"):
        model_folder(cache / f"models--tester--{name}" / "snapshots" / "0123", (2, 3))
    weights = cache / "models--tester--dangling" / "snapshots" / "0123" / "model.safetensors"
    weights.unlink()
    weights.symlink_to("../../blobs/gone")
    header = b'{"w": {"dtype": "F32"}}'
    torn = cache / "models--tester--torn" / "snapshots" / "0123" / "model.safetensors"
    torn.write_bytes(len(header).to_bytes(8, "little") + header)
    for method, path, body in [
        ("GET", "/api/models/local", None),
        ("GET", "/api/models/popular/text-generation", None),
        ("POST", "/api/models/search", {"query": "tester"}),
    ]:
        answer = backend.call(method, path, json=body)
        assert answer.status_code == 200, answer.text
        assert {one["model_id"] for one in answer.json()["models"]} == {"tester/torn", "tester/whole"}


def test_a_fetched_model_of_pickles_is_listed_as_such_and_removed_with_the_others(
    backend: Backend, tmp_path: Path
) -> None:
    snapshot = tmp_path / "cache" / "models--tester--pickled" / "snapshots" / "0123"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    (snapshot / "pytorch_model.bin").write_bytes(bytes(2**20))
    (model,) = backend.get("/api/models/local").json()["models"]
    assert (model["tags"], model["size_mb"], model["parameters"]) == (["local", "pickle"], 1.0, None)
    assert [one["model_id"] for one in backend.get("/api/models/cache").json()["cached_models"]] == ["tester/pickled"]
    assert backend.call("DELETE", "/api/models/cache").json() == {"deleted": ["tester/pickled"]}
    assert not snapshot.exists()
