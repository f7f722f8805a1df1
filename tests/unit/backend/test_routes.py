"""What the routes answer, over real HTTP and WebSocket connections to a real process."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from websockets.exceptions import InvalidStatus

from tests.builders.backend import Backend, running_backend

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

APP = "peft-studio://app"


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    with running_backend(Path(sys.executable), tmp_path_factory.mktemp("routes") / "data") as started:
        yield started


def code(answer: httpx.Response) -> str:
    error = answer.json()
    assert set(error) == {"code", "message", "remedy", "detail"}
    assert error["message"]
    assert error["remedy"]
    return str(error["code"])


def test_health_says_that_it_lives_and_may_be_cached(backend: Backend) -> None:
    answer = backend.get("/api/health")
    assert set(answer.json()) == {"status", "timestamp"}
    assert datetime.fromisoformat(answer.json()["timestamp"]).tzinfo is not None
    assert answer.headers["Cache-Control"] == "max-age=2"


def test_the_hardware_profile_has_every_field_that_the_app_reads(backend: Backend) -> None:
    answer = backend.get("/api/hardware/profile")
    profile = answer.json()
    assert answer.headers["Cache-Control"] == "max-age=5"
    assert isinstance(profile["gpus"], list)
    assert profile["cpu"]["cores_physical"] >= 1
    assert set(profile["cpu"]) == {"cores_physical", "cores_logical", "frequency_mhz", "architecture", "utilization"}
    assert set(profile["ram"]) == {"total_gb", "available_gb", "used_gb", "percent_used"}
    assert profile["ram"]["total_gb"] > profile["ram"]["available_gb"] > 0
    assert set(profile) - {"gpus", "cpu", "ram"} == {
        "platform",
        "python_version",
        "torch_version",
        "cuda_available",
        "mps_available",
        "disk",
        "timestamp",
    }


def test_the_system_describes_itself(backend: Backend) -> None:
    system = backend.get("/api/system/info").json()
    assert system["pid"] == backend.process.pid
    assert system["data_dir"] == str(backend.data_dir)
    assert system["python_version"] == ".".join(map(str, sys.version_info[:3]))


def test_the_api_describes_itself(backend: Backend) -> None:
    paths = backend.get("/api/openapi.json").json()["paths"]
    assert {"/api/health", "/api/hardware/profile", "/api/training/start"} <= set(paths)


@pytest.mark.parametrize("authorization", ["", "Bearer wrong"])
@pytest.mark.parametrize("path", ["/api/system/info", "/api/training/list", "/api/openapi.json", "/no/such/path"])
def test_nothing_but_health_answers_without_the_token(backend: Backend, path: str, authorization: str) -> None:
    answer = backend.get(path, headers={"Authorization": authorization})
    assert answer.status_code == 401
    assert code(answer) == "token-wrong"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/profiles"),
        ("GET", "/api/models/popular/text-generation"),
        ("POST", "/api/models/search"),
        ("POST", "/api/config/smart-defaults"),
        ("GET", "/api/hardware/profile"),
        ("GET", "/api/inference/conversation/any"),
        ("GET", "/api/settings"),
        ("GET", "/api/offline/network-status"),
        ("GET", "/api/deployments"),
    ],
)
def test_a_refusal_is_a_text_where_the_app_would_take_json_for_its_answer(
    backend: Backend, method: str, path: str
) -> None:
    for headers, status, expected in [
        ({"Authorization": ""}, 401, "token-wrong"),
        ({"Origin": "https://evil.example"}, 403, "origin-not-allowed"),
    ]:
        answer = backend.call(method, path, headers=headers)
        assert (answer.status_code, answer.headers["Content-Type"]) == (status, "text/plain; charset=utf-8")
        assert expected in answer.text


def test_a_path_with_a_line_break_is_answered_as_others_are(backend: Backend) -> None:
    answer = backend.call("DELETE", "/api/inference/conversation/%0D")
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "text/plain; charset=utf-8")


def test_health_answers_without_the_token(backend: Backend) -> None:
    assert backend.get("/api/health", headers={"Authorization": ""}).status_code == 200


@pytest.mark.parametrize("path", ["/api/health", "/api/system/info"])
def test_a_foreign_host_is_refused(backend: Backend, path: str) -> None:
    answer = backend.get(path, headers={"Host": f"evil.example:{backend.port}"})
    assert answer.status_code == 403
    assert code(answer) == "host-not-allowed"


def test_a_foreign_page_cannot_make_the_backend_act(backend: Backend) -> None:
    answer = backend.post("/api/shutdown", headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403
    assert code(answer) == "origin-not-allowed"
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert backend.get("/api/health").status_code == 200


def test_the_apps_pages_may_read_answers_and_errors(backend: Backend) -> None:
    for path, headers, status in [
        ("/api/health", {}, 200),
        ("/api/system/info", {"Authorization": ""}, 401),
        ("/no/such/path", {}, 404),
    ]:
        answer = backend.get(path, headers={"Origin": APP, **headers})
        assert answer.status_code == status
        assert answer.headers["Access-Control-Allow-Origin"] == APP
        assert answer.headers["Vary"] == "Origin"
        assert "Access-Control-Allow-Credentials" not in answer.headers


def test_a_preflight_is_answered_without_the_token(backend: Backend) -> None:
    asked = {"Origin": APP, "Access-Control-Request-Method": "POST", "Authorization": ""}
    answer = backend.call("OPTIONS", "/api/training/start", headers=asked)
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == APP
    assert answer.headers["Access-Control-Max-Age"] == "600"
    assert "authorization" in answer.headers["Access-Control-Allow-Headers"]


def test_a_foreign_preflight_is_refused(backend: Backend) -> None:
    asked = {"Origin": "null", "Access-Control-Request-Method": "POST"}
    assert backend.call("OPTIONS", "/api/training/start", headers=asked).status_code == 403


@pytest.mark.parametrize(
    "headers", [{"Authorization": ""}, {"Authorization": "Bearer wrong"}, {"Origin": "https://evil.example"}]
)
def test_a_websocket_is_refused_before_it_is_one(backend: Backend, headers: dict[str, str]) -> None:
    with pytest.raises(InvalidStatus) as refused, backend.websocket("/ws/training/any", headers=headers):
        pass
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize(
    ("method", "path", "status", "expected"),
    [
        ("GET", "/no/such/path", 404, "not-found"),
        ("DELETE", "/api/health", 405, "method-not-allowed"),
        ("GET", "/api/training/none", 404, "job-unknown"),
        ("POST", "/api/training/none/stop", 404, "job-unknown"),
        ("POST", "/api/training/start", 422, "request-invalid"),
    ],
)
def test_every_error_has_the_one_shape(backend: Backend, method: str, path: str, status: int, expected: str) -> None:
    answer = backend.call(method, path)
    assert answer.status_code == status
    assert code(answer) == expected
