"""Jobs from the request to their end. This interpreter has no torch, so that every worker fails: honestly."""

from __future__ import annotations

import importlib.util
import json
import re
import sqlite3
import sys
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from backend.clock import now
from backend.jobs.job import Job
from backend.jobs.store import Store
from backend.states import State
from backend.training.events import Changed
from backend.training.plan import TrainingPlan
from tests.builders.backend import Backend, running_backend
from tests.builders.events import STEP
from tests.builders.hub import model_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

PYTHON = Path(sys.executable)

NO_ONE_GUESSES = "open sesame"
LOOKS_SECRET = "hf_planted0planted0"
BELOW_PYTHON = "hf_below0below0"  # written by a library's own C code
SECRETS = (NO_ONE_GUESSES, LOOKS_SECRET, BELOW_PYTHON)
INDISCREET = f"""
import os, sys
os.write(2, b"with {BELOW_PYTHON}\\n")
raise OSError("denied", os.environ["HF_TOKEN"], "or {LOOKS_SECRET}")
"""

without_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="torch is installed here")


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    with running_backend(PYTHON, tmp_path / "data") as started:
        yield started


@pytest.fixture
def model(tmp_path: Path) -> str:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    return str(folder)


@pytest.fixture
def dataset(tmp_path: Path) -> str:
    path = tmp_path / "good.jsonl"
    path.write_text('{"text": "one"}\n')
    return str(path)


@without_torch
def test_a_worker_that_fails_says_why(backend: Backend, model: str, dataset: str) -> None:
    job = backend.wait_for_job(backend.train(model=model, dataset=dataset), "failed", "completed")
    assert job["state"] == "failed"
    assert job["error"]["code"] == "training-failed"
    assert "No module named 'torch'" in job["error"]["message"]
    log = backend.data_dir / "jobs" / job["job_id"] / "worker.log"
    assert str(log) in job["error"]["remedy"]
    assert "Traceback" in log.read_text()
    assert job["adapter_path"] is None


def test_no_secret_of_a_workers_traceback_is_kept_or_told(tmp_path: Path, model: str, dataset: str) -> None:
    (tmp_path / "torch.py").write_text(INDISCREET)
    environment = {"PYTHONPATH": str(tmp_path), "HF_TOKEN": NO_ONE_GUESSES}
    with running_backend(PYTHON, tmp_path / "data", environment=environment) as backend:
        job = backend.wait_for_job(backend.train(model=model, dataset=dataset), "failed", "completed")
        answers = backend.get(f"/api/training/{job['job_id']}").text + backend.get("/api/training/list").text
    log = (backend.data_dir / "jobs" / job["job_id"] / "worker.log").read_text()
    assert "denied" in answers
    assert not [secret for secret in SECRETS if secret in answers]
    assert "denied" in log
    assert [secret for secret in SECRETS if secret in log] == [BELOW_PYTHON]  # such texts are redacted as they leave


@without_torch
def test_jobs_run_one_after_the_other(backend: Backend, model: str, dataset: str) -> None:
    body = {"model": model, "dataset": dataset}
    answers = [backend.post("/api/training/start", json=body).json() for _ in range(3)]
    assert answers[0]["status"] == "started"
    for answer in answers:
        backend.wait_for_job(answer["job_id"], "failed")
    listed = backend.get("/api/training/list").json()["jobs"]
    assert [job["job_id"] for job in listed] == [answer["job_id"] for answer in reversed(answers)]
    times = [(job["started_at"], job["ended_at"]) for job in reversed(listed)]
    assert all(later[0] >= earlier[1] for earlier, later in pairwise(times))


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("missing.jsonl", None, "dataset-missing"),
        ("weights.safetensors", b"\0\0\0\0", "dataset-missing"),
        ("empty.jsonl", b"", "dataset-unusable"),
        ("junk.csv", bytes(range(256)), "dataset-unusable"),
        ("numbers.jsonl", b'{"label": 1}\n', "dataset-unusable"),
        ("broken.jsonl", b'{"text": "one"}\n{"text": ', "dataset-unusable"),
    ],
)
def test_a_dataset_that_is_none_is_refused_before_there_is_a_job(
    backend: Backend, tmp_path: Path, model: str, name: str, content: bytes | None, expected: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    answer = backend.post("/api/training/start", json={"model": model, "dataset": str(path)})
    assert answer.status_code == 422
    assert answer.json()["code"] == expected
    assert name in answer.json()["message"]
    assert answer.json()["remedy"]
    assert backend.get("/api/training/list").json() == {"jobs": []}


def test_a_folder_is_no_dataset(backend: Backend, tmp_path: Path, model: str) -> None:
    answer = backend.post("/api/training/start", json={"model": model, "dataset": str(tmp_path)})
    assert answer.json()["code"] == "dataset-missing"


def test_a_bad_row_is_named_by_its_line(backend: Backend, tmp_path: Path, model: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "one"}\n{"text": 2}\n{"text": "three"}\n{}\n')
    error = backend.post("/api/training/start", json={"model": model, "dataset": str(path)}).json()
    assert [problem["place"] for problem in error["detail"]] == ["line 2", "line 4"]


@pytest.mark.parametrize("model", ["/no/such/folder", "/tmp"])
def test_a_folder_without_a_model_is_refused(backend: Backend, dataset: str, model: str) -> None:
    answer = backend.post("/api/training/start", json={"model": model, "dataset": dataset})
    assert answer.status_code == 422
    assert answer.json()["code"] == "model-missing"


@pytest.mark.parametrize(
    "changes",
    [{"learning_rate": 0}, {"r": 0}, {"batch_size": "many"}, {"model": "../up"}, {"lora_dropout": 1}, {"max_steps": 0}],
)
def test_settings_that_make_no_sense_are_refused(
    backend: Backend, model: str, dataset: str, changes: dict[str, Any]
) -> None:
    answer = backend.post("/api/training/start", json={"model": model, "dataset": dataset} | changes)
    assert answer.status_code == 422
    assert answer.json()["code"] == "request-invalid"
    (field,) = changes
    assert field in answer.json()["message"]


def test_both_spellings_of_the_app_are_understood(backend: Backend, model: str, dataset: str) -> None:
    camel = {"modelPath": model, "datasetPath": dataset, "loraR": 4, "learningRate": 1e-3, "targetModules": ["q_proj"]}
    nulls = {"max_steps": None, "seed": None, "peft": None}
    plan = backend.job(backend.train(**camel, **nulls))["plan"]
    assert (plan["model"], plan["dataset"], plan["r"], plan["learning_rate"]) == (model, dataset, 4, 1e-3)
    assert plan["target_modules"] == ["q_proj"]
    assert plan["max_steps"] is None


def test_what_the_request_leaves_out_is_chosen_for_this_model_dataset_and_machine_and_told(
    backend: Backend, tmp_path: Path, model: str, dataset: str
) -> None:
    model_folder(tmp_path / "counted", (1000, 1000))
    many = tmp_path / "many.jsonl"
    many.write_text('{"text": "one of many"}\n' * 600)
    answers = {
        (name, rows): backend.post("/api/training/start", json={"model": name, "dataset": rows}).json()
        for name in (str(tmp_path / "counted"), model)
        for rows in (str(many), dataset)
    }
    for answer in answers.values():
        plan = backend.job(answer["job_id"])["plan"]
        assert plan | {name: one["value"] for name, one in answer["defaults"].items()} == plan
        assert all(one["why"] for one in answer["defaults"].values())
    batches = [answer["defaults"]["batch_size"]["value"] for answer in answers.values()]
    assert batches == [16, 4, 4, 4]  # a folder without weights does not tell how large its model is
    told = answers[str(tmp_path / "counted"), str(many)]["defaults"]["batch_size"]["why"]
    assert re.search(
        r"16 examples of up to 11 tokens fit into [\d.]+ GB of (main|GPU) memory; .+ a dataset of 600", told
    )


def test_a_websocket_tells_the_past_to_a_late_client(tmp_path: Path) -> None:
    store = Store(tmp_path / "jobs.sqlite3")
    store.add(Job(id="old", state=State.COMPLETED, plan=plan_of(tmp_path), created_at=now()))
    for event in (Changed(time=now(), state=State.RUNNING), STEP, Changed(time=now(), state=State.COMPLETED)):
        store.append("old", [event])
    store.close()
    with running_backend(PYTHON, tmp_path) as backend, backend.websocket("/ws/training/old") as socket:
        told = [json.loads(socket.recv()) for _ in range(4)]
        assert [frame["type"] for frame in told] == ["connected", "training_update", "metrics", "status_change"]
        assert told[1]["data"]["loss"] == STEP.loss
        assert told[3]["data"] == {"status": "completed", "state": "completed"}
        socket.send("ping")
        assert json.loads(socket.recv()) == {"type": "pong"}


def test_a_websocket_of_an_unknown_job_is_closed_with_the_error(backend: Backend) -> None:
    with backend.websocket("/ws/training/none") as socket:
        assert json.loads(socket.recv())["data"]["code"] == "job-unknown"


def test_a_listener_that_goes_away_leaves_no_trace(backend: Backend, model: str, dataset: str) -> None:
    job_id = backend.train(model=model, dataset=dataset)
    for _ in range(5):
        with backend.websocket(f"/ws/training/{job_id}") as socket:
            socket.recv()
            socket.socket.close()
    backend.wait_for_job(job_id, "failed", "completed")


def test_what_ran_when_the_backend_died_is_interrupted(tmp_path: Path) -> None:
    store = Store(tmp_path / "jobs.sqlite3")
    store.add(Job(id="old", state=State.QUEUED, plan=plan_of(tmp_path), created_at=now()))
    store.change("old", State.RUNNING)
    store.close()
    with running_backend(PYTHON, tmp_path) as backend:
        job = backend.job("old")
        assert job["state"] == "interrupted"
        assert job["ended_at"] is not None


def test_a_data_folder_may_be_moved_between_two_backends(tmp_path: Path, model: str) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    with running_backend(PYTHON, before) as backend:
        file = {"file": ("rows.jsonl", b'{"text": "one"}\n')}
        dataset = backend.post("/api/datasets/upload", files=file).json()
        job_id = backend.train(model=model, dataset_id=dataset["id"])
        backend.wait_for_job(job_id, "failed", "completed")
    store = Store(before / "jobs.sqlite3")
    store.change(job_id, State.FAILED, adapter_path=str(before / "adapters" / job_id))
    store.close()
    before.rename(after)
    with running_backend(PYTHON, after) as backend:
        moved = Path(backend.get(f"/api/datasets/{dataset['id']}").json()["path"])
        job = backend.job(job_id)
    assert moved == after / Path(dataset["path"]).relative_to(before)
    assert moved.read_bytes() == b'{"text": "one"}\n'
    assert (job["plan"]["dataset"], job["plan"]["model"]) == (str(moved), model)
    assert job["adapter_path"] == str(after / "adapters" / job_id)


def test_two_backends_of_one_folder_both_answer_and_one_runs_the_jobs(backend: Backend) -> None:
    assert backend.get("/api/training/list").status_code == 200
    with running_backend(PYTHON, backend.data_dir) as second:
        assert second.get("/api/health").status_code == 200
        answer = second.get("/api/training/list")
        assert answer.status_code == 409
        assert answer.json()["code"] == "jobs-elsewhere"


def test_a_store_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "jobs.sqlite3")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with running_backend(PYTHON, tmp_path) as backend:
        for _ in range(2):
            assert backend.get("/api/training/list").json()["code"] == "jobs-too-new"


def plan_of(folder: Path) -> TrainingPlan:
    return TrainingPlan(name="old", model=str(folder), dataset=folder / "rows.jsonl")
