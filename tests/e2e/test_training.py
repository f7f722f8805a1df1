"""Real fine-tuning, with the runtime's interpreter, against a plain script of the same settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.builders import models
from tests.builders.backend import DEADLINE, Backend, run
from tests.builders.models import SETTINGS

PLAIN_SCRIPT = Path(models.__file__).with_name("plain_training.py")  # imports torch, so it is run, not imported

pytestmark = pytest.mark.runtime

# What a user does with an adapter: plain transformers and peft. Prints the logits' largest change.
EFFECT = """
import sys, torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer
model, adapter = sys.argv[1:]
tokens = AutoTokenizer.from_pretrained(model)("The red fox", return_tensors="pt")
base = AutoModelForCausalLM.from_pretrained(model).eval()
with torch.no_grad():
    before = base(**tokens).logits
    after = PeftModel.from_pretrained(base, adapter).eval()(**tokens).logits
print((after - before).abs().max().item())
"""


def losses(job: dict[str, Any]) -> list[float]:
    return [metric["loss"] for metric in job["metrics"]]


def test_the_model_learns(trained: dict[str, Any]) -> None:
    logged = losses(trained)
    assert [metric["step"] for metric in trained["metrics"]] == list(range(1, SETTINGS["max_steps"] + 1))
    tenth = len(logged) // 10
    assert sum(logged[-tenth:]) <= 0.7 * sum(logged[:tenth])


def test_every_loss_is_that_of_a_plain_script(
    runtime_python: Path, material: Path, trained: dict[str, Any], tmp_path: Path
) -> None:
    settings = SETTINGS | {
        "model": str(material / "model"),
        "dataset": str(material / "dataset.jsonl"),
        "scratch": str(tmp_path / "scratch"),
        "losses": str(tmp_path / "losses.json"),
    }
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    run(runtime_python, PLAIN_SCRIPT, tmp_path / "settings.json")
    assert losses(trained) == pytest.approx(json.loads((tmp_path / "losses.json").read_text()), abs=1e-3)


def test_peft_loads_the_adapter_and_it_changes_the_models_output(
    runtime_python: Path, material: Path, trained: dict[str, Any]
) -> None:
    changed = float(run(runtime_python, "-c", EFFECT, str(material / "model"), trained["adapter_path"]))
    assert changed > 0.1


def test_the_adapter_lies_in_the_data_folder_and_holds_no_pickle(backend: Backend, trained: dict[str, Any]) -> None:
    adapter = Path(trained["adapter_path"])
    assert adapter == backend.data_dir / "adapters" / trained["job_id"]
    assert {"adapter_config.json", "adapter_model.safetensors"} <= {path.name for path in adapter.iterdir()}
    assert not list(adapter.glob("*.bin"))


def test_a_late_listener_hears_every_step(backend: Backend, trained: dict[str, Any]) -> None:
    with backend.websocket(f"/ws/training/{trained['job_id']}") as socket:
        frames: list[dict[str, Any]] = []
        while not frames or frames[-1]["type"] != "status_change":
            frames.append(json.loads(socket.recv(timeout=DEADLINE)))
    assert frames[-1]["data"]["status"] == "completed"
    told = [frame["data"] for frame in frames if frame["type"] == "training_update"]
    assert [update["loss"] for update in told] == losses(trained)
    assert told[-1]["progress"] == 100


def test_a_listener_hears_a_job_as_it_goes(backend: Backend, material: Path) -> None:
    job_id = backend.train(
        model=str(material / "model"), dataset=str(material / "dataset.jsonl"), max_steps=5, learning_rate=1e-3
    )
    states, steps = [], 0
    with backend.websocket(f"/ws/training/{job_id}") as socket:
        while "completed" not in states:
            frame = json.loads(socket.recv(timeout=DEADLINE))
            assert frame["data"].get("state") != "failed" if "data" in frame else True
            states += [frame["data"]["state"]] if frame["type"] == "status_change" else []
            steps += frame["type"] == "training_update"
    assert steps == 5
    assert backend.job(job_id)["state"] == "completed"


def test_a_stopped_job_keeps_a_checkpoint(backend: Backend, material: Path) -> None:
    job_id = backend.train(model=str(material / "model"), dataset=str(material / "dataset.jsonl"), max_steps=100_000)
    with backend.websocket(f"/ws/training/{job_id}") as socket:
        while json.loads(socket.recv(timeout=DEADLINE))["type"] != "training_update":
            pass
    backend.post(f"/api/training/{job_id}/stop")
    job = backend.wait_for_job(job_id, "stopped", "failed", "completed")
    assert job["state"] == "stopped"
    assert job["adapter_path"] is None
    (checkpoint,) = (backend.data_dir / "jobs" / job_id / "checkpoints").iterdir()
    assert checkpoint.name == f"checkpoint-{job['metrics'][-1]['step']}"


def test_a_training_that_cannot_be_done_says_why(backend: Backend, material: Path) -> None:
    job_id = backend.train(model="nobody/no-such-model", dataset=str(material / "dataset.jsonl"), max_steps=2)
    job = backend.wait_for_job(job_id, "failed", "completed")
    assert job["state"] == "failed"
    assert job["error"]["code"] == "hub-unreachable"
    assert "nobody/no-such-model" in job["error"]["message"]
    assert job["error"]["remedy"]
