"""Adapters go to a hub by its own client, to a private place unless their owner says otherwise."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.builders.backend import DEADLINE, Backend, running_backend, wait_until
from tests.builders.hub import LARGE, OWNER, TOKEN, Hub, model_folder, running_hub

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.runtime

TOO_LARGE_TO_BE_UNDER_WAY = 64 * 1024 * 1024  # bytes: more than sockets take before anybody reads them


@contextmanager
def backend_of(hub: Hub, runtime_python: Path, tmp_path: Path) -> Iterator[Backend]:
    environment = {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path / "hub"),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
    }
    with running_backend(runtime_python, tmp_path / "data", environment=environment) as backend:
        yield backend


def test_an_adapter_is_pushed_with_the_users_token_and_kept_private(runtime_python: Path, tmp_path: Path) -> None:
    weights = os.urandom(2 * LARGE)
    folder = tmp_path / "data" / "adapters" / "mine"
    folder.mkdir(parents=True)
    model, rows = tmp_path / "home of alice" / "llama", tmp_path / "home of alice" / "patients.jsonl"
    configuration = {"peft_type": "LORA", "base_model_name_or_path": str(model)}
    (folder / "adapter_config.json").write_text(json.dumps(configuration))
    (folder / "training.json").write_text(json.dumps({"plan": {"model": str(model), "dataset": str(rows), "r": 8}}))
    (folder / "README.md").write_text(f"---\nbase_model: {model}\n---\n")
    (folder / "adapter_model.safetensors").write_bytes(weights)
    (folder / "optimizer.pt").write_bytes(b"a pickle")
    with running_hub() as hub:
        with backend_of(hub, runtime_python, tmp_path) as backend:
            asked = {"repository": f"{OWNER}/mine"}
            answer = backend.post("/api/adapters/mine/push", json=asked)
            assert (answer.status_code, answer.json()["code"]) in {(422, "model-not-found"), (422, "hub-refused")}
            assert "token" in answer.json()["remedy"]
            backend.call("PUT", "/api/secrets/hub-token", json={"value": TOKEN})
            pushed = backend.post("/api/adapters/mine/push", json=asked).json()
        repository = hub.repositories[f"{OWNER}/mine"]
        assert repository.private
        assert pushed == {
            "repository": f"{OWNER}/mine",
            "url": f"{hub.url}/{OWNER}/mine",
            "commit": repository.commit,
            "private": True,
        }
        documents = {name: text for name, text in repository.files.items() if name.endswith((".json", ".md"))}
        assert set(repository.files) - {".gitattributes"} == {*documents, "adapter_model.safetensors"}
        assert documents == {
            "adapter_config.json": json.dumps(configuration | {"base_model_name_or_path": "llama"}).encode(),
            "training.json": b'{"plan": {"model": "llama", "dataset": "patients.jsonl", "r": 8}}',
            "README.md": b"---\nbase_model: llama\n---\n",
        }
        assert repository.files["adapter_model.safetensors"] == weights


def test_a_merged_model_is_pushed_as_well_without_this_machines_paths(runtime_python: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "models" / "merged"
    model_folder(folder, (2, 3))
    base = tmp_path / "home of alice" / "llama"
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "_name_or_path": str(base)}))
    (folder / "training_args.bin").write_bytes(b"a pickle")
    with running_hub() as hub, backend_of(hub, runtime_python, tmp_path) as backend:
        backend.call("PUT", "/api/secrets/hub-token", json={"value": TOKEN})
        asked = {"repository": f"{OWNER}/merged"}
        pushed = backend.post("/api/models/local/merged/push", json=asked).json()
        repository = hub.repositories[f"{OWNER}/merged"]
        assert (pushed["commit"], repository.private) == (repository.commit, True)
        assert set(repository.files) - {".gitattributes"} == {"config.json", "model.safetensors"}
        assert json.loads(repository.files["config.json"]) == {"model_type": "llama", "_name_or_path": "llama"}
        assert repository.files["model.safetensors"] == (folder / "model.safetensors").read_bytes()
        assert backend.get("/api/pushes").json()["pushes"][0]["folder"] == str(folder)
        assert backend.post("/api/models/local/none/push", json=asked).json()["code"] == "model-unknown"


def test_a_push_tells_how_far_it_is_and_can_be_cancelled_and_done_again(runtime_python: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "adapters" / "mine"
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    (folder / "adapter_model.safetensors").write_bytes(os.urandom(TOO_LARGE_TO_BE_UNDER_WAY))
    size = sum(path.stat().st_size for path in folder.iterdir())
    with (
        running_hub() as hub,
        backend_of(hub, runtime_python, tmp_path) as backend,
        ThreadPoolExecutor(1) as client,
    ):
        backend.call("PUT", "/api/secrets/hub-token", json={"value": TOKEN})

        def last() -> dict[str, Any]:
            return next(iter(backend.get("/api/pushes").json()["pushes"]), {})

        def push() -> Any:
            return backend.post("/api/adapters/mine/push", json={"repository": f"{OWNER}/mine"})

        hub.goes_on.clear()
        pushing = client.submit(push)
        wait_until(lambda: last().get("done", 0) > 0, "some of it is on its way")
        under_way = last()
        assert (under_way["state"], under_way["folder"], under_way["total"]) == ("running", str(folder), size)
        assert 0 < under_way["done"] < size
        assert backend.post(f"/api/pushes/{under_way['id']}/cancel").json()["state"] == "cancelled"
        assert pushing.result(DEADLINE).json()["code"] == "push-cancelled"
        assert last()["ended_at"]
        assert hub.repositories[f"{OWNER}/mine"].files == {}
        hub.goes_on.set()
        pushed = push().json()
        whole = last()
        assert (whole["state"], whole["done"], whole["total"]) == ("completed", size, size)
        assert (whole["commit"], whole["error"]) == (pushed["commit"], None)
        assert len(hub.repositories[f"{OWNER}/mine"].files["adapter_model.safetensors"]) == TOO_LARGE_TO_BE_UNDER_WAY
        assert backend.post("/api/pushes/none/cancel").json()["code"] == "push-unknown"
