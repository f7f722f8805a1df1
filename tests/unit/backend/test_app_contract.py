"""What the app's own window calls when it starts and when people click, over real HTTP: each answer as it reads it."""

from __future__ import annotations

import io
import json
import re
import sys
import zipfile
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.builders.backend import DEADLINE, Backend, running_backend
from tests.builders.hub import PATIENT, model_folder, running_hub

if TYPE_CHECKING:
    from collections.abc import Iterator

PYTHON = Path(sys.executable)
# As the wizard sent it when it was watched: floats for counts, null for what it does not know.
WIZARD: dict[str, Any] = {
    "gpu_memory_mb": 20858.88,
    "cpu_cores": 8,
    "ram_gb": 31.25,
    "compute_capability": "8.6",
    "model_size_mb": None,
    "num_parameters": None,
    "max_seq_length": 512,
    "architecture": None,
    "num_samples": 1000,
    "avg_sequence_length": 255.5,
    "max_sequence_length": 512,
    "target_effective_batch_size": 32,
}


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    folder = tmp_path_factory.mktemp("contract")
    offline = {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(folder / "cache")}
    patient = {"backend.repeats.REPEAT_SECONDS": DEADLINE}
    with running_backend(PYTHON, folder / "data", environment=offline, constants=patient) as started:
        yield started


def test_dependencies_may_be_cached(backend: Backend) -> None:
    answer = backend.get("/api/dependencies")
    assert answer.headers["Cache-Control"] == "max-age=5"
    assert set(answer.json()) == {"python", "packages", "all_installed"}


def test_each_dependency_is_there_or_says_what_to_do(backend: Backend) -> None:
    report = backend.get("/api/dependencies/check").json()
    assert report["all_passed"] == all(check["installed"] for check in report["checks"])
    assert bool(report["recommendations"]) != report["all_passed"]
    assert all(check.get("version") or check["fix_instructions"] for check in report["checks"])


def test_every_profile_has_all_that_its_card_shows(backend: Backend) -> None:
    profiles = backend.get("/api/profiles").json()["profiles"]
    assert {profile["id"] for profile in profiles} >= {"chatbot", "code-generation", "summarization"}
    for profile in profiles:
        assert set(profile["requirements"]) == {
            "min_gpu_memory_gb",
            "min_dataset_size",
            "estimated_time_per_epoch_minutes",
            "recommended_gpu_memory_gb",
            "recommended_dataset_size",
        }
        assert profile["config"]["scheduler"] in {"linear", "cosine", "constant"}
        assert profile["example_use_cases"]
        requirements = profile["requirements"]
        assert 1 <= requirements["min_gpu_memory_gb"] <= requirements["recommended_gpu_memory_gb"]


@pytest.mark.parametrize("name", ["code-generation", "code_generation"])
def test_a_profile_goes_by_both_spellings(backend: Backend, name: str) -> None:
    assert backend.get(f"/api/profiles/{name}").json()["id"] == "code-generation"


def test_the_methods_have_the_parameters_that_the_app_can_show(backend: Backend) -> None:
    methods = {method["id"]: method for method in backend.get("/api/peft/algorithms").json()["algorithms"]}
    assert set(methods) == {"lora", "qlora", "dora", "rslora", "pissa", "ia3", "prefix-tuning", "prompt-tuning"}
    known = {"r", "lora_alpha", "lora_dropout", "target_modules"}
    for method in methods.values():
        assert {parameter["name"] for parameter in method["parameters"]} in (known, set())
        assert None not in [value for parameter in method["parameters"] for value in parameter.values()]


def test_smart_defaults_are_numbers_where_the_window_needs_numbers(backend: Backend) -> None:
    found = backend.post("/api/config/smart-defaults", json=WIZARD | {"cpu_cores": 9}).json()
    for name in ("estimated_training_time_hours", "estimated_memory_mb", "memory_utilization_percent", "learning_rate"):
        assert isinstance(found[name], float)
    assert found["batch_size"] * found["gradient_accumulation_steps"] == found["effective_batch_size"] == 32
    assert (found["precision"], found["quantization"]) == ("bf16", "none")
    assert set(found["explanations"]) == {"batch_size", "learning_rate", "precision"}


def test_the_same_question_again_at_once_is_refused_as_text(backend: Backend) -> None:
    first = backend.post("/api/config/smart-defaults", json=WIZARD)
    again = backend.post("/api/config/smart-defaults", json=WIZARD)
    other = backend.post("/api/config/smart-defaults", json=WIZARD | {"num_samples": 5})
    assert (first.status_code, again.status_code, other.status_code) == (200, 429, 200)
    assert again.headers["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize(
    ("method", "path", "content"),
    [
        ("POST", "/api/config/smart-defaults", b"{"),
        ("POST", "/api/models/search", b"{"),
        ("POST", "/api/models/search", b'{"limit": "many"}'),
        ("GET", "/api/models/popular/text-generation?limit=many", b""),
        ("POST", "/api/profiles", b""),
        ("POST", "/api/deployments", b""),
    ],
)
def test_errors_that_would_blank_the_window_are_plain_text(
    backend: Backend, method: str, path: str, content: bytes
) -> None:
    answer = backend.call(method, path, content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code in {405, 422}
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert re.search(r"\. .+\. \([a-z-]+\)$", answer.text)  # what is so, what to do, and the code
    with pytest.raises(ValueError, match="Expecting value"):
        answer.json()


def test_offline_the_models_are_those_of_this_machine(backend: Backend) -> None:
    model_folder(backend.data_dir / "models" / "mine", parameters=(7, 11))
    fetched = backend.data_dir.parent / "cache" / "models--acme--tiny"
    model_folder(fetched / "snapshots" / "0123", parameters=(2, 3))
    (fetched / "refs").mkdir()
    (fetched / "refs" / "main").write_text("0123")
    expected = {str(backend.data_dir / "models" / "mine"): 77e-6, "acme/tiny": 6e-6}
    for answer in (
        backend.get("/api/models/popular/text-generation?limit=20"),
        backend.post("/api/models/search", json={"query": "", "task": "text-generation", "limit": 20}),
        backend.get("/api/models/local"),
    ):
        assert {model["model_id"]: model["parameters"] for model in answer.json()["models"]} == expected
    found = backend.post("/api/models/search", json={"query": "ACME tiny", "limit": None}).json()
    assert [model["model_id"] for model in found["models"]] == ["acme/tiny"]
    assert found["online"] is False
    assert backend.get("/api/models/acme%2Ftiny").json()["architecture"] == "LlamaForCausalLM"
    assert backend.get("/api/models/no/such").json()["code"] == "model-unknown"
    assert [model["model_id"] for model in backend.get("/api/models/cache").json()["cached_models"]] == ["acme/tiny"]


def test_online_the_hub_is_asked_once_for_the_same(tmp_path: Path) -> None:
    listed = [{"id": "acme/big", "downloads": 5, "tags": ["license:mit"], "safetensors": {"total": 7_000_000_000}}]
    with running_hub(listed) as hub:
        online = {"HF_ENDPOINT": hub.url, "HF_HUB_CACHE": str(tmp_path / "cache")}
        with running_backend(PYTHON, tmp_path / "data", environment=online, constants=PATIENT) as backend:
            assert backend.get("/api/offline/network-status").json()["status"] == "checking"
            for _ in range(3):
                (model,) = backend.get("/api/models/popular/text-generation").json()["models"]
            assert (model["model_id"], model["parameters"], model["license"]) == ("acme/big", 7000.0, "mit")
            assert len(hub.asked) == 1
            assert backend.get("/api/offline/network-status").json()["status"] == "online"


def test_a_hub_that_answers_nonsense_is_as_good_as_none(tmp_path: Path) -> None:
    with running_hub(b"<html>please log in</html>") as hub:
        online = {"HF_ENDPOINT": hub.url, "HF_HUB_CACHE": str(tmp_path / "cache")}
        with running_backend(PYTHON, tmp_path / "data", environment=online) as backend:
            assert backend.get("/api/models/popular/text-generation").json() == {"models": [], "online": False}
            assert backend.post("/api/offline/check-connectivity").json()["status"] == "offline"


def test_nothing_that_this_backend_has_not_is_invented(backend: Backend) -> None:
    assert backend.get("/api/deployments").json() == []
    assert backend.get("/api/gradio-demos/").json() == []
    assert backend.get("/api/offline/network-status").json()["status"] == "offline"
    assert backend.get("/api/offline/sync/status").json() == {"is_syncing": False}
    assert set(backend.get("/api/offline/queue/stats").json()) == {"pending", "in_progress", "completed", "failed"}


def test_a_conversation_is_begun_by_its_first_message(backend: Backend) -> None:
    said = {"conversation_id": "conv_17", "model_id": "m", "use_case": "chatbot"}
    assert backend.get("/api/inference/conversation/conv_17").json()["messages"] == []
    backend.post("/api/inference/conversation/save", json=said | {"role": "user", "content": "Hello"})
    backend.post("/api/inference/conversation/save", json=said | {"role": "assistant", "content": ""})
    messages = backend.get("/api/inference/conversation/conv_17").json()["messages"]
    assert [(message["role"], message["content"]) for message in messages] == [("user", "Hello"), ("assistant", "")]
    assert datetime.fromisoformat(messages[0]["timestamp"]).tzinfo is not None
    (listed,) = backend.get("/api/inference/conversations").json()
    assert (listed["conversation_id"], listed["message_count"]) == ("conv_17", 2)
    backend.call("DELETE", "/api/inference/conversation/conv_17")
    assert backend.get("/api/inference/conversations").json() == []


@pytest.mark.parametrize("name", ["..", "../settings", "a/b", ".hidden", "x" * 101, "a\nb"])
def test_a_name_cannot_lead_out_of_its_folder(backend: Backend, name: str) -> None:
    said = {"conversation_id": name, "role": "user", "content": "x"}
    assert backend.post("/api/inference/conversation/save", json=said).status_code == 422
    assert not list(backend.data_dir.rglob("*hidden*"))


def test_a_configuration_is_kept_found_exported_and_imported(backend: Backend) -> None:
    body = {
        "configuration": {"base_model": "m", "provider": "any"},
        "name": "Mine",
        "description": "first",
        "tags": ["a"],
    }
    saved = backend.post("/api/configurations/library/save", json=body | {"author": None}).json()["data"]
    library = "/api/configurations/library"

    def found(**wanted: Any) -> list[str]:
        listed = backend.post(f"{library}/list", json=wanted).json()["configurations"]
        return [metadata["name"] for metadata in listed]

    assert found(tags=None, search_query=None) == ["Mine"]
    assert found(tags=["a"], search_query="FIRST") == ["Mine"]
    assert found(tags=["b"]) == found(search_query="second") == []
    configuration_id = saved["metadata"]["id"]
    assert backend.get(f"{library}/{configuration_id}").json()["data"] == saved
    exported = backend.post("/api/configurations/export-file", json=body).content
    for answer in (
        backend.post("/api/configurations/import", content=exported, headers={"Content-Type": "application/json"}),
        backend.post("/api/configurations/import-file", files={"file": ("c.json", exported)}),
    ):
        assert answer.json()["data"]["configuration"] == body["configuration"]
    assert found() == ["Mine"] * 3
    backend.call("DELETE", f"{library}/{configuration_id}")
    assert backend.get(f"{library}/{configuration_id}").json()["code"] == "configuration-unknown"


@pytest.mark.parametrize("content", [b"{", b"[]", b"{}", b'{"metadata": {"name": 5}}', b'{"metadata": {"name": "x"}}'])
def test_a_configuration_that_is_none_is_refused_with_a_text_to_show(backend: Backend, content: bytes) -> None:
    answer = backend.post("/api/configurations/import-file", files={"file": ("c.json", content)})
    assert answer.status_code == 422
    assert isinstance(answer.json()["detail"], str)


def test_settings_are_kept_checked_reset_and_carried_over(backend: Backend) -> None:
    defaults = backend.get("/api/settings").json()["settings"]
    assert set(defaults) == {"appearance", "notifications", "providers", "dataRetention", "training", "advanced"}
    change = {"category": "appearance", "values": {"theme": "light"}}
    changed = backend.call("PUT", "/api/settings/category", json=change).json()
    assert changed["settings"]["appearance"] == defaults["appearance"] | {"theme": "light"}
    exported = backend.get("/api/settings/export/json").json()["settings_json"]
    assert backend.post("/api/settings/reset?category=appearance").json()["settings"] == defaults
    imported = backend.post("/api/settings/import", json={"settings_json": exported}).json()
    assert imported == {"success": True, "settings": changed["settings"]}
    for bad in ({"category": "appearance", "values": {"theme": "pink"}}, {"category": "none", "values": {}}):
        answer = backend.call("PUT", "/api/settings/category", json=bad)
        assert (answer.status_code, answer.json()["code"]) == (422, "settings-invalid")
    assert json.loads((backend.data_dir / "settings.json").read_text()) == changed["settings"]


def test_what_went_wrong_is_listed_exported_and_reported_without_names(tmp_path: Path) -> None:
    home = tmp_path / "a user's name"
    home.mkdir()
    environment = {"HOME": str(home), "HF_HUB_OFFLINE": "1"}
    with running_backend(PYTHON, home / "data", environment=environment) as backend:
        shelf = backend.data_dir / "configurations"
        shelf.mkdir()
        (shelf / "torn.json").write_text("{")
        backend.post("/api/configurations/library/list", json={})
        (entry,) = backend.get("/api/logging/logs?severity=medium&limit=100").json()["logs"]
        assert str(shelf / "torn.json") in entry["error_message"]
        assert set(entry["system_state"]) == {"platform", "cpu_usage_percent", "memory_usage_percent"}
        assert backend.get("/api/logging/stats").json()["by_severity"]["medium"] == 1
        exported = backend.post("/api/logging/export", json={}).json()
        assert exported["log_count"] == 1
        assert home.name not in Path(exported["filepath"]).read_text()
        report = backend.post("/api/logging/diagnostic-report", json={}).json()
        with zipfile.ZipFile(io.BytesIO(backend.get(report["download_url"]).content)) as archive:
            assert {"system.json", "errors.json", "backend.log"} <= set(archive.namelist())
            assert not any(home.name in archive.read(name).decode() for name in archive.namelist())
        assert backend.get("/api/logging/diagnostic-report/none").json()["code"] == "report-unknown"
        backend.call("DELETE", "/api/logging/logs")
        assert backend.get("/api/logging/stats").json()["total_logs"] == 0
        assert backend.post("/api/logging/debug-mode", json={"enabled": True}).json() == {"enabled": True}
        assert backend.get("/api/logging/debug-mode").json() == {"enabled": True}
