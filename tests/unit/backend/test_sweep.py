"""Whatever is asked of whichever route, the answer is one that a client can understand, and never a bug of ours."""

from __future__ import annotations

import re
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.builders.backend import DEADLINE, Backend, running_backend

if TYPE_CHECKING:
    from collections.abc import Iterator

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(["none", "0" * 16, "..", ".", "a b", "%", "é", "\0", "x" * 300, "-1", "popular"]) | st.text(
    st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12
)


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    folder = tmp_path_factory.mktemp("sweep")
    offline = {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(folder / "cache")}
    with running_backend(Path(sys.executable), folder / "data", environment=offline) as started:
        yield started


@pytest.fixture(scope="module")
def client(backend: Backend) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://{backend.host}", headers=backend.headers, timeout=DEADLINE) as opened:
        yield opened


@cache
def description(backend_url: str, token: str) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(
        f"{backend_url}/api/openapi.json", headers={"Authorization": f"Bearer {token}"}, timeout=DEADLINE
    ).json()
    return found


def operations(backend: Backend) -> list[tuple[str, str, dict[str, Any]]]:
    api = description(f"http://{backend.host}", str(backend.token))
    return [
        (method.upper(), path, operation)
        for path, methods in sorted(api["paths"].items())
        for method, operation in sorted(methods.items())
        if path != "/api/shutdown"
    ]


def fields(backend: Backend, operation: dict[str, Any]) -> list[str]:
    """Return the names that a request's body is described to have."""
    api = description(f"http://{backend.host}", str(backend.token))
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    schema = content.get("schema", {})
    if "$ref" in schema:
        schema = api["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return list(schema.get("properties", {}))


def understood(answer: httpx.Response) -> None:
    assert answer.status_code < 500, answer.text
    if answer.status_code < 400:
        return
    if answer.headers["Content-Type"].startswith("text/plain"):
        assert answer.text
        return
    error = answer.json()
    assert set(error) == {"code", "message", "remedy", "detail"}
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", error["code"])
    assert error["message"]
    assert error["remedy"]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_request_meets_a_bug(backend: Backend, client: httpx.Client, data: st.DataObject) -> None:
    method, path, operation = data.draw(st.sampled_from(operations(backend)))
    place = re.sub(r"\{[^}]*\}", lambda _: quote(data.draw(NAMES), safe=""), path)
    query = {
        parameter["name"]: str(data.draw(JUNK))
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "query" and data.draw(st.booleans())
    }
    known = fields(backend, operation)
    body = data.draw(st.fixed_dictionaries({}, optional=dict.fromkeys(known, JUNK)) if known else JUNK)
    understood(client.request(method, place, params=query, json=body if method != "GET" else None))


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 50_000, b'{"a": 1e999}', b"null", b'"\\ud800"'])
def test_no_body_meets_a_bug(backend: Backend, client: httpx.Client, content: bytes) -> None:
    for method, path, _ in operations(backend):
        if method in {"POST", "PUT", "PATCH"}:
            place = re.sub(r"\{[^}]*\}", "none", path)
            understood(client.request(method, place, content=content, headers={"Content-Type": "application/json"}))


def test_every_route_says_what_it_does_takes_and_answers(backend: Backend) -> None:
    api = description(f"http://{backend.host}", str(backend.token))
    assert len(operations(backend)) > 50
    for method, path, operation in operations(backend):
        assert operation["description"], (method, path)
        assert "200" in operation["responses"], (method, path)
        problem = operation["responses"]["default"]["content"]["application/json"]["schema"]
        assert problem == {"$ref": "#/components/schemas/Problem"}
        taken = {parameter["name"] for parameter in operation.get("parameters", ()) if parameter["in"] == "path"}
        assert taken == set(re.findall(r"\{(\w+)[^}]*\}", path))
    assert "HTTPValidationError" not in api["components"]["schemas"]


def test_a_thousand_quick_requests_are_all_answered(client: httpx.Client) -> None:
    paths = ["/api/health", "/api/dependencies", "/api/hardware/profile", "/api/engine", "/api/training/list"]
    statuses = {client.get(paths[number % len(paths)]).status_code for number in range(1000)}
    assert statuses == {200}
