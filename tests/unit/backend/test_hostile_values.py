"""What JSON, a path or a process cannot hold is refused where it comes in, and meets no bug behind."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.builders.backend import Backend, running_backend
from tests.builders.disks import small_disk

if TYPE_CHECKING:
    from collections.abc import Iterator

JSON = {"Content-Type": "application/json"}
CONFIGURATION = '{"name": "x", "configuration": {"a": [{"b": %s}]}}'
EXPORTED = '{"metadata": {"name": "x"}, "configuration": {"a": [{"b": %s}]}}'


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    data = tmp_path_factory.mktemp("hostile") / "data"
    with running_backend(Path(sys.executable), data, environment={"HF_HUB_OFFLINE": "1"}) as started:
        yield started


@pytest.mark.parametrize("name", ["a\0", "\ud800", "owner/\0", "../up", "a/b/c", ""])
def test_what_is_no_models_name_is_refused(backend: Backend, name: str) -> None:
    for method, path, field in [
        ("POST", "/api/inference/load", "model_id"),
        ("POST", "/api/models/download", "model_id"),
        ("PUT", "/api/models/consents", "model"),
        ("POST", "/api/training/start", "model"),
    ]:
        body = json.dumps({field: name, "revision": "main", "dataset": "/none.txt"})
        answer = backend.call(method, path, content=body, headers=JSON)
        assert (answer.status_code, answer.json()["code"]) == (422, "request-invalid"), (path, answer.text)


@pytest.mark.parametrize("value", ["1e999", "-1e999", "NaN", '"\\ud800"'])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/configurations/export-file", CONFIGURATION),
        ("/api/configurations/library/save", CONFIGURATION),
        ("/api/configurations/import", EXPORTED),
    ],
)
def test_a_configuration_that_is_no_json_is_not_taken(backend: Backend, path: str, body: str, value: str) -> None:
    answer = backend.post(path, content=body % value, headers=JSON)
    assert answer.status_code == 422, answer.text
    assert "JSON" in answer.json()["message"]


@pytest.mark.parametrize("field", ["weight_decay", "max_grad_norm", "epochs"])
def test_a_number_without_end_is_no_setting(backend: Backend, field: str) -> None:
    preset = f'{{"id": "p", "name": "p", "{field}": 1e999}}'
    assert backend.post("/api/presets/save", content=preset, headers=JSON).json()["code"] == "preset-invalid"
    training = f'{{"model": "a/b", "dataset": "/none.txt", "{field}": 1e999}}'
    assert backend.post("/api/training/start", content=training, headers=JSON).json()["code"] == "request-invalid"


@pytest.mark.root
def test_an_upload_that_finds_no_room_on_its_way_is_told_so(tmp_path: Path) -> None:
    with (
        small_disk(tmp_path / "temporary", "size=1m") as disk,
        running_backend(Path(sys.executable), tmp_path / "data", environment={"TMPDIR": str(disk)}) as backend,
    ):
        answer = backend.post("/api/datasets/upload", files={"file": ("rows.txt", b"one line\n" * 500_000)})
        assert (answer.status_code, answer.json()["code"]) == (507, "dataset-not-stored")
        assert str(disk) in answer.json()["message"]
