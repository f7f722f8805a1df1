"""Adapters go to a hub by its own client, to a private place unless their owner says otherwise."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from tests.builders.backend import running_backend
from tests.builders.hub import LARGE, OWNER, TOKEN, running_hub

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.runtime


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
        environment = {
            "HF_ENDPOINT": hub.url,
            "HF_HOME": str(tmp_path / "hub"),
            "HF_HUB_DISABLE_XET": "1",  # the hub's other protocol for large files
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
        }
        with running_backend(runtime_python, tmp_path / "data", environment=environment) as backend:
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
