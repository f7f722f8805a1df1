"""Whatever stops a training, it goes on as if nothing had: the same rows in the same order, the same losses."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from tests.builders.backend import Backend, running_backend

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.runtime

STEPS = 100
SETTINGS: dict[str, Any] = {
    "lora_dropout": 0.1,  # random numbers have to go on where they were, too
    "learning_rate": 5e-3,
    "batch_size": 8,
    "gradient_accumulation_steps": 4,
    "max_steps": STEPS,
    "max_seq_length": 64,
    "validation_split": 0.1,
    "eval_steps": 20,
    "save_steps": 10,
}


@pytest.fixture(scope="module")
def body(material: Path) -> dict[str, Any]:
    return {"model": str(material / "model"), "dataset": str(material / "dataset.jsonl"), **SETTINGS}


@pytest.fixture(scope="module")
def straight(backend: Backend, body: dict[str, Any]) -> dict[str, Any]:
    """A job that nothing stopped."""
    return backend.wait_for_job(backend.train(**body), "completed", "failed")


@pytest.fixture
def first_backend(runtime_python: Path, tmp_path: Path) -> Iterator[Backend]:
    with running_backend(runtime_python, tmp_path / "data", cwd=tmp_path) as backend:
        yield backend


def losses(job: dict[str, Any]) -> list[tuple[int, float]]:
    return [(metric["step"], metric["loss"]) for metric in job["metrics"]]


def weights(job: dict[str, Any]) -> bytes:
    return Path(job["adapter_path"], "adapter_model.safetensors").read_bytes()


def test_pause_kill_and_crash_change_no_loss_and_no_weight(
    runtime_python: Path, first_backend: Backend, body: dict[str, Any], straight: dict[str, Any]
) -> None:
    assert straight["state"] == "completed", straight["error"]
    job_id = first_backend.train(**body)

    first_backend.wait_for_steps(job_id, 5)
    first_backend.post(f"/api/training/{job_id}/pause")
    paused = first_backend.wait_for_job(job_id, "paused", "completed", "failed")
    assert (paused["state"], paused["error"]) == ("paused", None)
    assert first_backend.post(f"/api/training/{job_id}/resume").json()["state"] == "queued"

    first_backend.wait_for_steps(job_id, 5)
    (worker,) = psutil.Process(first_backend.process.pid).children()
    worker.kill()
    assert first_backend.wait_for_job(job_id, "interrupted", "completed")["state"] == "interrupted"
    first_backend.post(f"/api/training/{job_id}/resume")

    first_backend.wait_for_steps(job_id, 5)
    first_backend.process.kill()
    first_backend.wait()
    with running_backend(runtime_python, first_backend.data_dir, cwd=first_backend.data_dir) as second:
        assert second.job(job_id)["state"] == "interrupted"
        second.post(f"/api/training/{job_id}/resume")
        job = second.wait_for_job(job_id, "completed", "failed")
        assert job["state"] == "completed", job["error"]
        assert [step for step, _ in losses(job)] == list(range(1, STEPS + 1))
        assert losses(job) == losses(straight)
        assert job["validation"] == straight["validation"]
        assert weights(job) == weights(straight)
        assert second.post(f"/api/training/{job_id}/resume").json()["code"] == "job-ended"
        assert second.call("DELETE", f"/api/training/{job_id}").json()["status"] == "deleted"
        assert second.get(f"/api/training/{job_id}").status_code == 404
        assert Path(job["adapter_path"]).is_dir()
        assert not (second.data_dir / "jobs" / job_id).exists()


def test_the_validation_loss_falls_and_has_its_steps(straight: dict[str, Any]) -> None:
    validation = straight["validation"]
    assert [entry["step"] for entry in validation] == [20, 40, 60, 80, 100]
    assert validation[-1]["val_loss"] < validation[0]["val_loss"]
    assert validation[-1]["val_perplexity"] < validation[0]["val_perplexity"]
