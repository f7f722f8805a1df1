"""Presets are kept whole, checked, changed, exported and imported, as the app asks for them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.builders.backend import Backend, running_backend

if TYPE_CHECKING:
    from collections.abc import Iterator

# As the app sends it.
PRESET: dict[str, Any] = {
    "id": "mine",
    "name": "Mine",
    "description": "for small machines",
    "tags": ["small", "chat"],
    "model_name": "acme/tiny",
    "model_path": "",
    "dataset_id": "",
    "dataset_path": "",
    "peft_method": "lora",
    "lora_r": 8,
    "lora_alpha": 16,
    "lora_dropout": 0,
    "target_modules": ["q_proj"],
    "learning_rate": 0.0002,
    "batch_size": 4,
    "gradient_accumulation": 4,
    "epochs": 3,
    "max_steps": 0,
    "warmup_steps": 100,
    "optimizer": "adamw",
    "scheduler": "cosine",
    "weight_decay": 0.01,
    "max_grad_norm": 1,
    "precision": "bf16",
    "quantization": None,
    "save_steps": 0,
    "save_total": 3,
    "eval_steps": 500,
    "eval_strategy": "steps",
}


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    data = tmp_path_factory.mktemp("presets") / "data"
    with running_backend(Path(sys.executable), data, environment={"HF_HUB_OFFLINE": "1"}) as started:
        yield started


@pytest.fixture
def kept(backend: Backend) -> dict[str, Any]:
    """The one preset that there is."""
    for one in backend.get("/api/presets").json()["presets"]:
        backend.call("DELETE", f"/api/presets/{one['id']}")
    preset: dict[str, Any] = backend.post("/api/presets/save", json=PRESET).json()["preset"]
    return preset


def test_a_preset_is_kept_as_it_was_sent(backend: Backend, kept: dict[str, Any]) -> None:
    assert kept == PRESET | {"created_at": kept["created_at"], "updated_at": kept["updated_at"]}
    assert backend.get("/api/presets/mine").json() == kept
    again = backend.post("/api/presets/save", json=kept | {"name": "Renamed"}).json()["preset"]
    assert (again["name"], again["created_at"]) == ("Renamed", kept["created_at"])
    assert backend.call("DELETE", "/api/presets/mine").status_code == 200
    gone = backend.get("/api/presets/mine").json()
    assert (gone["code"], gone["detail"]) == ("preset-unknown", gone["message"])


@pytest.mark.parametrize(
    ("query", "found"),
    [("", 1), ("?search=SMALL", 1), ("?search=large", 0), ("?tags=chat,small", 1), ("?tags=chat,large", 0)],
)
@pytest.mark.usefixtures("kept")
def test_presets_are_found_by_text_and_tags(backend: Backend, query: str, found: int) -> None:
    assert len(backend.get(f"/api/presets{query}").json()["presets"]) == found


def test_a_wrong_change_says_so_in_a_text_and_changes_nothing(backend: Backend, kept: dict[str, Any]) -> None:
    changed = backend.call("PATCH", "/api/presets/mine", json={"updates": {"lora_r": 32}}).json()["preset"]
    assert (changed["lora_r"], changed["lora_alpha"]) == (32, kept["lora_alpha"])
    for updates in ({"lora_r": -1}, {"optimizer": "magic"}, {"no_such": 1}, {"name": ""}):
        answer = backend.call("PATCH", "/api/presets/mine", json={"updates": updates})
        assert (answer.status_code, answer.json()["code"]) == (422, "preset-invalid")
        assert next(iter(updates)) in answer.json()["detail"]
    assert backend.get("/api/presets/mine").json() == changed


def test_an_exported_preset_is_imported_under_another_id_and_overwrites_none(
    backend: Backend, kept: dict[str, Any]
) -> None:
    exported = backend.get("/api/presets/mine/export").json()
    for asked in ({}, {"new_id": "theirs"}):
        imported = backend.post("/api/presets/import", json={"import_data": exported} | asked).json()["preset"]
        assert imported["id"] not in {"mine", ""}
        assert {name: imported[name] for name in PRESET if name != "id"} == {
            name: kept[name] for name in PRESET if name != "id"
        }
    answer = backend.post("/api/presets/import", json={"import_data": exported, "new_id": "theirs"})
    assert (answer.status_code, answer.json()["code"]) == (409, "name-taken")
    assert answer.json()["detail"] == answer.json()["message"]  # which the app shows
    wrong: list[dict[str, Any]] = [{}, {"preset": []}, {"name": 5}]
    for nonsense in wrong:
        answer = backend.post("/api/presets/import", json={"import_data": nonsense})
        assert (answer.status_code, answer.json()["code"]) == (422, "preset-invalid")
    assert backend.post("/api/presets/save", json=PRESET | {"id": "../up"}).json()["code"] == "preset-invalid"
