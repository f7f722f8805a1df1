"""What users have set, allowed and kept is never lost: to a later version's words, a torn file, or another client."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from backend.models.trust import Brought, Consent, Consents
from backend.preferences import Preferences, change, merged, read
from tests.builders.backend import Backend, running_backend

if TYPE_CHECKING:
    from collections.abc import Iterator

LATER: dict[str, Any] = {
    "appearance": {"theme": "sepia", "fontSize": "large", "density": 3},
    "dataRetention": {"keepLogs": 5},
    "weather": {"unit": "K"},
}


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    with running_backend(Path(sys.executable), tmp_path_factory.mktemp("kept") / "data") as started:
        yield started


def test_of_a_later_versions_settings_those_count_that_are_understood(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(LATER))
    found = read(path)
    assert (found.appearance.fontSize, found.dataRetention.keepLogs) == ("large", 5)
    assert found.appearance.theme == Preferences().appearance.theme


def test_a_change_leaves_what_a_later_version_wrote(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(LATER))
    change(path, lambda kept: merged(kept, "appearance", {"fontSize": "small"}))
    written = json.loads(path.read_text())
    assert (written["appearance"]["theme"], written["appearance"]["density"]) == ("sepia", 3)
    assert (written["weather"], written["dataRetention"]["keepLogs"]) == (LATER["weather"], 5)
    assert written["appearance"]["fontSize"] == read(path).appearance.fontSize == "small"
    change(path, lambda kept: merged(kept, "appearance", {"theme": "light"}))
    assert json.loads(path.read_text())["appearance"]["theme"] == "light"


def test_a_file_that_is_no_json_is_put_aside_before_another_is_written(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text('{"appearance": {"theme": "light",}}')
    change(path, lambda kept: merged(kept, "advanced", {"logLevel": "DEBUG"}))
    assert read(path).advanced.logLevel == "DEBUG"
    assert "light" in (tmp_path / "settings.json.unreadable").read_text()


def test_settings_changed_at_once_are_all_kept(backend: Backend) -> None:
    changes = {"keepLogs": 1, "keepCheckpoints": 2, "keepFailedRuns": 3, "autoCleanup": True, "maxCacheSize": 5}

    def put(name: str) -> int:
        body = {"category": "dataRetention", "values": {name: changes[name]}}
        return backend.call("PUT", "/api/settings/category", json=body).status_code

    with ThreadPoolExecutor(len(changes)) as clients:
        assert set(clients.map(put, changes)) == {200}
    assert backend.get("/api/settings").json()["settings"]["dataRetention"] == changes


def test_presets_fields_changed_at_once_are_all_kept(backend: Backend) -> None:
    backend.post("/api/presets/save", json={"id": "p", "name": "p"})
    changes = {"lora_r": 3, "batch_size": 7, "epochs": 2.5, "warmup_steps": 9, "description": "x", "optimizer": "sgd"}

    def patch(name: str) -> int:
        return backend.call("PATCH", "/api/presets/p", json={"updates": {name: changes[name]}}).status_code

    with ThreadPoolExecutor(len(changes)) as clients:
        assert set(clients.map(patch, changes)) == {200}
    kept = backend.get("/api/presets/p").json()
    assert {name: kept[name] for name in changes} == changes


def test_consents_given_and_withdrawn_at_once_are_as_they_were_said(tmp_path: Path) -> None:
    consents = Consents(tmp_path / "consents.json")
    models = [Brought(model=f"a/{number}", revision="r", code=(), pickles=()) for number in range(12)]
    for one in models[::2]:
        consents.grant(one, "r", Consent(code=True))

    def say(number: int) -> None:
        if number % 2:
            consents.grant(models[number], "r", Consent(code=True))
        else:
            consents.withdraw(models[number].model)

    with ThreadPoolExecutor(len(models)) as clients:
        list(clients.map(say, range(len(models))))
    assert set(consents.all()) == {one.model for one in models[1::2]}


def test_the_level_of_the_log_is_the_users_at_once_and_at_the_next_start(tmp_path: Path) -> None:
    def level(value: str) -> dict[str, Any]:
        return {"category": "advanced", "values": {"logLevel": value}}

    shelf = tmp_path / "data" / "configurations"
    shelf.mkdir(parents=True)
    (shelf / "torn.json").write_text("{")

    def warned(backend: Backend) -> int:
        """Have something to warn of, and return how often it was said."""
        backend.post("/api/configurations/library/list", json={})
        return int(backend.get("/api/logging/stats").json()["total_logs"])

    with running_backend(Path(sys.executable), tmp_path / "data") as backend:
        assert warned(backend) == 1
        backend.call("PUT", "/api/settings/category", json=level("ERROR"))
        assert warned(backend) == 1
    with running_backend(Path(sys.executable), tmp_path / "data") as backend:
        assert warned(backend) == 0
        backend.call("PUT", "/api/settings/category", json=level("WARNING"))
        assert warned(backend) == 1
