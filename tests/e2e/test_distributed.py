"""Several processes, and several machines, that train one adapter: as one would, and as one job."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from tests.builders.backend import DEADLINE, Backend, clean_environment, run, running_backend, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.runtime

LEARNING_RATE = 5e-3
SETTINGS: dict[str, Any] = {
    "lora_dropout": 0,  # each process draws its own random numbers
    "learning_rate": LEARNING_RATE,
    "batch_size": 4,
    "gradient_accumulation_steps": 4,
    "max_steps": 60,
    "max_seq_length": 64,
    "validation_split": 0.1,
    "eval_steps": 30,
    "save_steps": 10,
}

# The largest difference between two adapters' numbers.
DIFFERENCE = """
import sys
from safetensors.torch import load_file
one, other = (load_file(f"{folder}/adapter_model.safetensors") for folder in sys.argv[1:])
assert one.keys() == other.keys()
print(max((one[name] - other[name]).abs().max().item() for name in one))
"""


@pytest.fixture(scope="module")
def body(material: Path) -> dict[str, Any]:
    return {"model": str(material / "model"), "dataset": str(material / "dataset.jsonl"), **SETTINGS}


@pytest.fixture(scope="module")
def straight(backend: Backend, body: dict[str, Any]) -> dict[str, Any]:
    """A job of two processes that nothing stopped."""
    job = backend.wait_for_job(backend.train(**body, nproc_per_node=2), "completed", "failed", "interrupted")
    assert job["state"] == "completed", job["error"]
    return job


@pytest.fixture
def own_backend(runtime_python: Path, tmp_path: Path) -> Iterator[Backend]:
    with running_backend(runtime_python, tmp_path / "data", cwd=tmp_path) as started:
        yield started


def losses(job: dict[str, Any]) -> list[float]:
    return [metric["loss"] for metric in job["metrics"]]


def agent_of(backend: Backend) -> psutil.Process:
    (agent,) = psutil.Process(backend.process.pid).children()
    return agent


def workers_of(backend: Backend) -> list[psutil.Process]:
    """Return the processes that train, the first rank first."""
    return sorted(agent_of(backend).children(), key=lambda worker: int(worker.environ()["RANK"]))


def are_gone(processes: list[psutil.Process]) -> bool:
    return not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in processes)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_two_processes_learn_what_one_learns_from_batches_twice_as_large(
    runtime_python: Path, backend: Backend, body: dict[str, Any], straight: dict[str, Any]
) -> None:
    alone = backend.wait_for_job(backend.train(**body | {"batch_size": 8}), "completed", "failed")
    assert [metric["step"] for metric in straight["metrics"]] == list(range(1, 61))
    assert losses(straight) == pytest.approx(losses(alone), abs=1e-3)
    assert [one["val_loss"] for one in straight["validation"]] == pytest.approx(
        [one["val_loss"] for one in alone["validation"]], abs=1e-2
    )
    changed = run(runtime_python, "-c", DIFFERENCE, straight["adapter_path"], alone["adapter_path"])
    # Sums in another order differ in their last bits, and Adam moves a weight by up to the learning rate a step,
    # however small its gradient: less than one such step lies between the two, after sixty.
    assert float(changed) < LEARNING_RATE


def test_whatever_stops_one_of_several_processes_stops_all_and_they_go_on_as_if_nothing_had(
    runtime_python: Path, own_backend: Backend, body: dict[str, Any], straight: dict[str, Any]
) -> None:
    job_id = own_backend.train(**body, nproc_per_node=2)

    own_backend.wait_for_steps(job_id, 5)
    agent, workers = agent_of(own_backend), workers_of(own_backend)
    assert len(workers) == 2
    listening = [
        one.laddr.ip
        for process in (agent, *workers)
        for one in process.net_connections()
        if one.status == psutil.CONN_LISTEN
    ]
    assert set(listening) == {"127.0.0.1"}, "whoever reaches these can run code in the training"
    own_backend.post(f"/api/training/{job_id}/pause")
    paused = own_backend.wait_for_job(job_id, "paused", "completed", "failed")
    assert (paused["state"], paused["error"]) == ("paused", None)
    assert are_gone([agent, *workers])
    last = paused["metrics"][-1]["step"]
    assert (own_backend.data_dir / "jobs" / job_id / "checkpoints" / f"checkpoint-{last}" / "whole").exists()

    own_backend.post(f"/api/training/{job_id}/resume")
    own_backend.wait_for_steps(job_id, 5)
    agent, workers = agent_of(own_backend), workers_of(own_backend)
    workers[1].kill()
    killed = own_backend.wait_for_job(job_id, "interrupted", "completed", "failed")
    assert killed["state"] == "interrupted"
    assert "memory" in killed["error"]["message"]
    assert are_gone([agent, *workers])

    own_backend.post(f"/api/training/{job_id}/resume")
    own_backend.wait_for_steps(job_id, 5)
    agent, workers = agent_of(own_backend), workers_of(own_backend)
    agent.kill()
    assert own_backend.wait_for_job(job_id, "interrupted", "completed", "failed")["state"] == "interrupted"
    assert are_gone([agent, *workers])

    own_backend.post(f"/api/training/{job_id}/resume")
    own_backend.wait_for_steps(job_id, 5)
    agent, workers = agent_of(own_backend), workers_of(own_backend)
    own_backend.process.kill()
    own_backend.wait()
    wait_until(lambda: are_gone([agent, *workers]), "agent and workers are gone")

    with running_backend(runtime_python, own_backend.data_dir, cwd=own_backend.data_dir) as second:
        assert second.job(job_id)["state"] == "interrupted"
        second.post(f"/api/training/{job_id}/resume")
        job = second.wait_for_job(job_id, "completed", "failed", "interrupted")
        assert job["state"] == "completed", job["error"]
        assert losses(job) == losses(straight)
        assert job["validation"] == straight["validation"]


def test_two_machines_train_one_job_and_go_on_when_one_of_them_was_lost(
    program: Path, home: Path, own_backend: Backend, body: dict[str, Any], material: Path, straight: dict[str, Any]
) -> None:
    meets = {"nnodes": 2, "rdzv_endpoint": f"127.0.0.1:{free_port()}", "rdzv_id": "both"}
    elsewhere = material / "the model on the other machine"
    elsewhere.symlink_to(material / "model")
    job_id = own_backend.train(**body, **meets)
    invitation = first_log(own_backend, job_id, "--join")
    # As docs/distributed.md says; a second home would be a second copy of the same runtime.
    said = invitation.partition("peft_engine -- ")[2].split()
    command: list[str | Path] = [program, "--home", home, "--", *said, "--model", elsewhere]
    with subprocess.Popen(command, env=clean_environment(), stderr=subprocess.DEVNULL) as other:
        own_backend.wait_for_steps(job_id, 15)
        (worker,) = psutil.Process(other.pid).children()
        worker.kill()
        lost = own_backend.wait_for_job(job_id, "failed", "interrupted", "completed")
    assert other.returncode == -signal.SIGKILL
    assert (lost["state"], lost["error"]["code"]) == ("failed", "process-lost")

    own_backend.post(f"/api/training/{job_id}/resume")
    joined = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, timeout=DEADLINE)
    job = own_backend.wait_for_job(job_id, "completed", "failed", "interrupted")
    assert job["state"] == "completed", (job["error"], joined.stderr)
    assert joined.returncode == 0, joined.stderr
    assert losses(job) == pytest.approx(losses(straight), abs=1e-4)
    assert any((home / "data" / "joined" / "both" / "checkpoints").iterdir())


def test_a_job_whose_machines_do_not_come_can_be_stopped(own_backend: Backend, body: dict[str, Any]) -> None:
    job_id = own_backend.train(**body, nnodes=2, rdzv_endpoint=f"127.0.0.1:{free_port()}")
    assert f"--rdzv-id {job_id}" in first_log(own_backend, job_id, "--join")
    own_backend.post(f"/api/training/{job_id}/stop")
    assert own_backend.wait_for_job(job_id, "stopped", "failed")["state"] == "stopped"


def test_a_job_that_cannot_listen_where_machines_should_meet_says_so(
    own_backend: Backend, body: dict[str, Any]
) -> None:
    job_id = own_backend.train(**body, nnodes=2, rdzv_endpoint="192.0.2.1:29500")  # nobody's: for documentation
    error = own_backend.wait_for_job(job_id, "failed", "completed")["error"]
    assert error["code"] == "rendezvous-not-possible"
    assert "192.0.2.1, port 29500" in error["message"]


def first_log(backend: Backend, job_id: str, text: str) -> str:
    """Wait until the job's log says something with this text; return it."""
    with backend.websocket(f"/ws/training/{job_id}") as socket:
        while True:
            frame = json.loads(socket.recv(timeout=DEADLINE))
            if frame["type"] == "log_entry" and text in frame["data"]["log"]["message"]:
                return str(frame["data"]["log"]["message"])
