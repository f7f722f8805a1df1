"""Whatever is asked of whichever route, the answer is one that the description names, and never a bug of ours."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.builders.backend import DEADLINE, Backend, running_backend
from tests.builders.description import schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    import schemathesis
    from schemathesis.schemas import APIOperation

    Operation = APIOperation[Any, Any, Any, Any]

EXAMPLES = 25
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
SCHEMA = schema().exclude(path="/api/shutdown")
OPERATIONS: list[Operation] = [found.ok() for found in SCHEMA.get_all_operations() if isinstance(found, Ok)]
TAKE_ANYTHING = {"/api/configurations/import", "/api/config/smart-defaults"}
WITH_RULES = [one for one in OPERATIONS if one.body and one.path not in TAKE_ANYTHING]


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    folder = tmp_path_factory.mktemp("sweep")
    environment = {
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_CACHE": str(folder / "cache"),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
    }
    with running_backend(Path(sys.executable), folder / "data", environment=environment) as started:
        yield started


@pytest.fixture(scope="module")
def client(backend: Backend) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://{backend.host}", headers=backend.headers, timeout=DEADLINE) as opened:
        yield opened


@pytest.fixture(scope="module")
def description(client: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/api/openapi.json").json()
    return found


def operations(description: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method.upper(), path, operation)
        for path, methods in sorted(description["paths"].items())
        for method, operation in sorted(methods.items())
        if path != "/api/shutdown"
    ]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_no_request_meets_a_bug(backend: Backend, operation: Operation) -> None:
    sweep(backend, operation, GenerationMode.POSITIVE)


@pytest.mark.parametrize("operation", WITH_RULES, ids=lambda operation: operation.label)
def test_no_request_that_says_nonsense_meets_a_bug(backend: Backend, operation: Operation) -> None:
    sweep(backend, operation, GenerationMode.NEGATIVE)


def sweep(backend: Backend, operation: Operation, mode: GenerationMode) -> None:
    """Send requests that fit an operation's description, or do not, and compare the answers with it."""

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case=operation.as_strategy(generation_mode=mode))
    def every(case: schemathesis.Case[Any]) -> None:
        base_url = f"http://{backend.host}"
        case.call_and_validate(base_url=base_url, headers=backend.headers, checks=CHECKS, timeout=DEADLINE)

    every()


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 50_000, b'{"a": 1e999}', b"null", b'"\\ud800"'])
def test_no_body_meets_a_bug(client: httpx.Client, description: dict[str, Any], content: bytes) -> None:
    for method, path, _ in operations(description):
        if method in {"POST", "PUT", "PATCH"}:
            place = re.sub(r"\{[^}]*\}", "none", path)
            answer = client.request(method, place, content=content, headers={"Content-Type": "application/json"})
            assert answer.status_code < 500, answer.text
            if answer.status_code >= 400 and not answer.headers["Content-Type"].startswith("text/plain"):
                assert set(answer.json()) == {"code", "message", "remedy", "detail"}
                assert re.fullmatch(r"[a-z]+(-[a-z]+)*", answer.json()["code"])


def test_the_routes_whose_errors_are_texts_say_so(description: dict[str, Any]) -> None:
    texts = {path for _, path, one in operations(description) if "text/plain" in one["responses"]["default"]["content"]}
    assert texts == {
        "/api/profiles",
        "/api/models/popular/text-generation",
        "/api/models/search",
        "/api/config/smart-defaults",
        "/api/hardware/profile",
        "/api/inference/models/loaded",
        "/api/inference/conversations",
        "/api/inference/conversation/{conversation_id}",
        "/api/logging/logs",
        "/api/logging/stats",
        "/api/logging/debug-mode",
        "/api/logging/diagnostic-report",
        "/api/offline/network-status",
        "/api/offline/check-connectivity",
        "/api/offline/queue/stats",
        "/api/offline/sync/status",
        "/api/offline/sync",
        "/api/settings",
        "/api/deployments",
    }


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/api/models/search", "post"),
        ("/api/models/local", "get"),
        ("/api/config/smart-defaults", "post"),
        ("/api/hardware/profile", "get"),
        ("/api/datasets", "get"),
        ("/api/training/start", "post"),
        ("/api/engine", "get"),
    ],
)
def test_the_core_routes_say_what_they_take_and_answer(description: dict[str, Any], path: str, method: str) -> None:
    operation = description["paths"][path][method]
    answer = operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    assert description["components"]["schemas"][answer]["required"]
    assert ("requestBody" in operation) == (method == "post")


def test_every_route_says_what_it_does_takes_and_answers(description: dict[str, Any]) -> None:
    assert len(operations(description)) > 80
    for method, path, operation in operations(description):
        assert operation["description"], (method, path)
        assert "200" in operation["responses"], (method, path)
        ((media_type, refused),) = operation["responses"]["default"]["content"].items()
        problem = {"application/json": {"$ref": "#/components/schemas/Problem"}, "text/plain": {"type": "string"}}
        assert refused["schema"] == problem[media_type]
        taken = {parameter["name"] for parameter in operation.get("parameters", ()) if parameter["in"] == "path"}
        assert taken == set(re.findall(r"\{(\w+)[^}]*\}", path))
    assert "HTTPValidationError" not in description["components"]["schemas"]


def test_a_thousand_quick_requests_are_all_answered(client: httpx.Client) -> None:
    paths = ["/api/health", "/api/dependencies", "/api/hardware/profile", "/api/engine", "/api/training/list"]
    statuses = {client.get(paths[number % len(paths)]).status_code for number in range(1000)}
    assert statuses == {200}
