"""The processes of the backend, with the runtime's interpreter: who imports what, and who outlives whom."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from pack.core import walk
from tests.builders.backend import DEADLINE, TOKEN, Backend, running_backend, wait_until
from tests.builders.processes import is_gone

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.runtime

HEAVY = {"torch", "transformers", "peft", "accelerate", "datasets", "tokenizers", "safetensors", "huggingface_hub"}


@pytest.fixture
def busy(runtime_python: Path, material: Path, tmp_path: Path) -> Iterator[tuple[Backend, str]]:
    """Give a backend in the middle of a training that would take hours, and the job's id."""
    with running_backend(runtime_python, tmp_path / "data", "--until-eof", cwd=tmp_path) as backend:
        yield backend, start_endless(backend, material)


def start_endless(backend: Backend, material: Path) -> str:
    """Start a training that would take hours; return its id after the first step."""
    job_id = backend.train(
        model=str(material / "model"), dataset=str(material / "dataset.jsonl"), max_steps=1_000_000, learning_rate=1e-4
    )
    backend.wait_for_steps(job_id, 1)
    return job_id


def worker_of(backend: Backend) -> psutil.Process:
    (worker,) = psutil.Process(backend.process.pid).children()
    return worker


def imports(backend: Backend) -> set[str]:
    """Return the modules that a backend started with `-X importtime` has imported: the interpreter itself says so."""
    reported = [line for line in backend.stderr.read_text().splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in reported}


def test_the_server_process_never_imports_what_only_workers_need_nor_anything_that_no_walk_of_its_routes_finds(
    runtime_python: Path, material: Path, tmp_path: Path
) -> None:
    with running_backend(runtime_python, tmp_path / "data", flags=("-X", "importtime"), cwd=tmp_path) as backend:
        # What a packed runtime restores first is what this walk makes the server open.
        walk(backend.port, TOKEN)
        walked = imports(backend)
        use(backend, material)
        loaded = Path(f"/proc/{backend.process.pid}/maps").read_text()
        backend.process.terminate()
        assert backend.wait() == 0
        imported = imports(backend)
    assert {"fastapi", "sqlalchemy", "psutil"} <= imported
    assert {name.partition(".")[0] for name in imported} & HEAVY == set()
    assert "libtorch" not in loaded
    assert imported - walked == set()


def use(backend: Backend, material: Path) -> None:
    """Do what people do: upload, train, ask, talk, keep, report."""
    content = (material / "dataset.jsonl").read_bytes()
    dataset = backend.post("/api/datasets/upload", files={"file": ("rows.jsonl", content)}).json()
    backend.post("/api/datasets/upload", files={"file": ("rows.parquet", b"PAR1")})
    backend.get(f"/api/datasets/{dataset['id']}/preview")
    job_id = backend.train(model=str(material / "model"), dataset=dataset["id"], max_steps=2)
    with backend.websocket(f"/ws/training/{job_id}") as socket:
        while json.loads(socket.recv(timeout=DEADLINE)).get("data", {}).get("state") != "completed":
            pass
    backend.get(f"/api/adapters/{job_id}/export")
    entry = backend.post(
        "/api/inference/load", json={"model_id": str(material / "model"), "adapter_path": job_id}
    ).json()
    asked = {"model_id": entry["model_id"], "prompt": "The red fox", "max_tokens": 2}
    assert backend.post("/api/inference/generate", json=asked).status_code == 200
    with backend.websocket("/api/inference/stream") as socket:
        socket.send(json.dumps(asked))
        while json.loads(socket.recv(timeout=DEADLINE))["type"] != "complete":
            pass
    backend.post("/api/inference/conversation/save", json={"conversation_id": "c", "role": "user", "content": "x"})
    kept = {"configuration": {}, "name": "kept"}
    backend.post("/api/configurations/library/save", json=kept)
    backend.post("/api/configurations/import-file", files={"file": ("c.json", json.dumps({"metadata": kept} | kept))})
    backend.call("PUT", "/api/settings/category", json={"category": "training", "values": {"autoResume": True}})
    report = backend.post("/api/logging/diagnostic-report").json()
    assert backend.get(report["download_url"]).status_code == 200
    backend.call("DELETE", f"/api/training/{job_id}")


def test_sigkill_of_the_backend_leaves_no_worker_and_the_next_start_says_interrupted(
    busy: tuple[Backend, str], runtime_python: Path
) -> None:
    backend, job_id = busy
    worker = worker_of(backend)
    backend.process.kill()
    backend.wait()
    wait_until(lambda: is_gone(worker), "the worker is gone")
    with running_backend(runtime_python, backend.data_dir, cwd=backend.data_dir) as again:
        assert again.job(job_id)["state"] == "interrupted"


@pytest.mark.parametrize("how", ["SIGTERM", "end of stdin", "shutdown"])
def test_a_running_job_saves_a_checkpoint_before_the_backend_ends(
    busy: tuple[Backend, str], runtime_python: Path, how: str
) -> None:
    backend, job_id = busy
    if how == "SIGTERM":
        backend.process.terminate()
    elif how == "shutdown":
        backend.post("/api/shutdown")
    else:
        assert backend.process.stdin is not None
        backend.process.stdin.close()
    assert backend.wait() == 0
    with running_backend(runtime_python, backend.data_dir, cwd=backend.data_dir) as again:
        job = again.job(job_id)
    assert job["state"] == "interrupted"
    last = job["metrics"][-1]["step"]
    assert (backend.data_dir / "jobs" / job_id / "checkpoints" / f"checkpoint-{last}").is_dir()


def test_a_worker_that_the_system_kills_leaves_its_job_interrupted_and_the_next_job_runs(
    busy: tuple[Backend, str], material: Path
) -> None:
    backend, job_id = busy
    worker_of(backend).kill()
    job = backend.wait_for_job(job_id, "failed", "interrupted")
    assert job["state"] == "interrupted"
    assert "memory" in job["error"]["message"]
    after = backend.train(model=str(material / "model"), dataset=str(material / "dataset.jsonl"), max_steps=1)
    assert backend.wait_for_job(after, "completed", "failed")["state"] == "completed"


def test_a_worker_is_alone_in_its_group_and_knows_no_token(busy: tuple[Backend, str]) -> None:
    backend, _ = busy
    worker = worker_of(backend)
    _state, _parent, group, *_ = Path(f"/proc/{worker.pid}/stat").read_text().rpartition(")")[2].split()
    assert int(group) == worker.pid
    assert Path(f"/proc/{worker.pid}/fd/0").readlink() == Path(os.devnull)
    assert "PEFT_STUDIO_TOKEN" not in worker.environ()
    assert TOKEN not in "\n".join([*worker.environ().values(), *worker.cmdline()])


def test_a_ctrl_c_at_the_terminal_reaches_the_backend_which_asks_the_worker(
    busy: tuple[Backend, str], runtime_python: Path
) -> None:
    backend, job_id = busy
    backend.process.send_signal(signal.SIGINT)
    assert backend.wait() == 130
    with running_backend(runtime_python, backend.data_dir, cwd=backend.data_dir) as again:
        assert again.job(job_id)["state"] == "interrupted"
