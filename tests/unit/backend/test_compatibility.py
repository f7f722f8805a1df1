"""Whether a model can be trained here is said for each method, of models on this machine and on the hub."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.compatibility import compatibility
from backend.estimates import Workload, memory_mb
from backend.hardware import Device
from backend.methods import METHODS
from tests.builders.backend import Backend, running_backend
from tests.builders.hub import OWNER, PATIENT, Repository, model_folder, running_hub

if TYPE_CHECKING:
    from collections.abc import Iterator

BILLION = 10**9


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    folder = tmp_path_factory.mktemp("compatibility")
    hidden = Repository({}, private=True, parameters=BILLION)
    with running_hub(large=Repository({}, parameters=7 * BILLION), strange=Repository({}), hidden=hidden) as hub:
        online = {"HF_ENDPOINT": hub.url, "HF_HUB_CACHE": str(folder / "cache")}
        constants = PATIENT | {"backend.routes.hardware.PROFILE_SECONDS": 600}  # looks at the machine once
        with running_backend(Path(sys.executable), folder / "data", environment=online, constants=constants) as started:
            yield started


def asked(backend: Backend, model: str, **more: Any) -> dict[str, Any]:
    answer = backend.post("/api/models/compatibility", json={"model_id": model, **more})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def of(found: dict[str, Any], method: str) -> dict[str, Any]:
    (one,) = [one for one in found["methods"] if one["method"] == method]
    return dict(one)


def test_a_model_of_this_machine_is_compared_with_the_memory_that_is_free_here(backend: Backend) -> None:
    for folder in (
        backend.data_dir / "models" / "mine",
        backend.data_dir.parent / "cache/models--acme--tiny/snapshots/0",
    ):
        model_folder(folder, (1000, 2000))
    machine = backend.get("/api/hardware/profile").json()
    free = machine["gpus"][0]["memory_available_gb"] if machine["cuda_available"] else machine["ram"]["available_gb"]
    for model in (str(backend.data_dir / "models" / "mine"), "acme/tiny"):
        found = asked(backend, model)
        assert (found["model_id"], found["compatible"], found["warnings"]) == (model, True, [])
        lora = of(found, "lora")
        assert lora["fits"]
        assert lora["change"] is None
        assert lora["available_mb"] == pytest.approx(0.9 * free * 1024, abs=0.1)
        assert found["estimatedVRAM"] == pytest.approx(lora["needed_mb"] / 1024, abs=0.01)
        assert found["recommendations"] == [f"Train by LoRA, which needs {lora['needed_mb'] / 1024:.1f} GB"]


def test_of_a_model_of_the_hub_each_method_says_what_it_needs_and_what_to_change(backend: Backend) -> None:
    found = asked(backend, f"{OWNER}/large", gpu_memory_gb=20)
    assert (found["compatible"], found["memory"]) == (True, "gpu")
    assert [one["method"] for one in found["methods"]] == [method.id for method in METHODS]
    usual = Workload(parameters=7 * BILLION, batch_size=4, sequence_length=512, precision="bf16")
    assert of(found, "lora")["needed_mb"] == pytest.approx(memory_mb(usual), abs=0.1)
    assert of(found, "qlora")["fits"]
    assert not of(found, "lora")["fits"]
    assert "Choose batch_size 1" in of(found, "lora")["change"]
    assert "LoRA needs" in found["warnings"][0]
    assert found["recommendations"][0].startswith("Train by LoRA with batch_size 1")


def test_what_fits_by_no_method_says_how_much_memory_would_do(backend: Backend) -> None:
    found = asked(backend, f"{OWNER}/large", gpu_memory_gb=2)
    assert not found["compatible"]
    assert not any(one["fits"] for one in found["methods"])
    least = found["estimatedVRAM"]
    assert "No method fits: the least, QLoRA with batch_size 1" in found["warnings"][0]
    enough = asked(backend, f"{OWNER}/large", gpu_memory_gb=least / 0.9 + 0.02)
    assert enough["compatible"]
    assert enough["estimatedVRAM"] == least


@pytest.mark.parametrize(
    ("model", "status", "code", "words"),
    [
        (f"{OWNER}/none", 404, "model-unknown", "the hub has none of this name"),
        (f"{OWNER}/hidden", 404, "model-unknown", "does not show it to this user"),
        (f"{OWNER}/strange", 422, "model-size-unknown", "the hub does not say"),
        ("/no/such/folder", 422, "model-missing", "there is no such folder"),
    ],
)
def test_a_model_that_nobody_knows_is_said_to_be_unknown(
    backend: Backend, model: str, status: int, code: str, words: str
) -> None:
    answer = backend.post("/api/models/compatibility", json={"model_id": model})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert words in answer.json()["message"]
    assert backend.get("/api/offline/network-status").json()["status"] != "offline"


def test_without_a_network_it_is_said_that_the_hub_could_not_be_asked(tmp_path: Path) -> None:
    offline = {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(tmp_path / "cache")}
    with running_backend(Path(sys.executable), tmp_path / "data", environment=offline) as backend:
        error = backend.post("/api/models/compatibility", json={"model_id": "acme/large"}).json()
    assert error["code"] == "model-unknown"
    assert "the hub is out of reach" in error["message"]


@given(st.floats(1e5, 1e12), st.floats(10, 1e6), st.none() | st.sampled_from([7.5, 8.6]))
def test_a_model_is_compatible_if_a_method_fits_as_it_is_or_changed_and_needs_no_more_then(
    parameters: float, memory: float, capability: float | None
) -> None:
    device = Device(memory_mb=memory, cores=4, compute_capability=capability)
    found = compatibility("m", parameters, device)
    assert found["compatible"] == any(
        one["fits"] or "it then needs" in (one["change"] or "") for one in found["methods"]
    )
    missing = found["estimatedVRAM"] * 1024 - 0.9 * memory
    assert missing < 6 if found["compatible"] else missing > -6  # it is rounded to 10 MiB
    for one in found["methods"]:
        assert one["fits"] == (one["change"] is None)
        assert not one["fits"] or one["needed_mb"] <= one["available_mb"] + 0.1
        assert one["method"] != "qlora" or capability or "NVIDIA" in (one["change"] or "")
