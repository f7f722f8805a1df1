"""The API's description tells the shape of every answer: whoever scripts against it learns what comes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from schemathesis.core.failures import FailureGroup
from schemathesis.openapi.checks import JsonSchemaError

from backend.app import description
from backend.presets import KeptPreset, Preset
from tests.builders.backend import run
from tests.builders.description import answer, closed, operation_at, require_described, schemas_of

if TYPE_CHECKING:
    from collections.abc import Iterator


OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, methods in description()["paths"].items()
    for method, operation in methods.items()
}
# What may be anything, and why that is so.
FREE = {
    "SavedConfiguration.configuration",  # its maker's own document
    "Metadata.training_results",  # as above
    "Metadata.hardware_requirements",  # as above
    "Adapter.plan",  # of whichever version trained it
    "ComparedAdapter.settings",  # some of its settings
    "Problem.detail",  # each error's own
}


def good_answers(operation: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the schemas of what a route answers when all is well."""
    for status, described in operation["responses"].items():
        if status.startswith("2"):
            for content in described["content"].values():
                yield content["schema"]


def is_free(schema: dict[str, Any]) -> bool:
    """Whether a schema says nothing, or no more than that there is an object."""
    if not schema.keys() - {"title", "description"}:
        return True
    return (
        schema.get("type") == "object"
        and not schema.get("properties")
        and schema.get("additionalProperties")
        in (
            None,
            True,
        )
    )


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_every_good_answer_has_a_shape(operation: dict[str, Any]) -> None:
    shapes = list(good_answers(operation))
    assert shapes
    assert not [shape for shape in shapes if is_free(shape)]


def test_only_what_is_somebody_elses_is_left_free() -> None:
    components = description()["components"]["schemas"]
    used: set[str] = set()
    for operation in OPERATIONS.values():
        list(schemas_of(list(good_answers(operation)), components, used))
    free = {
        f"{name}.{part}"
        for name in used
        for part, schema in components[name].get("properties", {}).items()
        if is_free(schema)
    }
    assert free == FREE
    assert not [name for name in used if is_free(components[name])]


def test_every_shape_of_an_answer_says_what_it_is_under_a_name_of_its_own() -> None:
    components = description()["components"]["schemas"]
    assert not [name for name, schema in components.items() if "description" not in schema and "Body_" not in name]
    assert not [name for name in components if "__" in name.removeprefix("Body_") and not name.startswith("Body_")]


def test_every_route_but_health_wants_the_token() -> None:
    assert description()["components"]["securitySchemes"] == {"token": {"type": "http", "scheme": "bearer"}}
    without = [label for label, operation in OPERATIONS.items() if operation["security"] != [{"token": []}]]
    assert without == ["GET /api/health"]


def test_the_kept_preset_has_every_field_of_a_preset() -> None:
    assert KeptPreset.__required_keys__ == Preset.model_fields.keys() | {"id", "created_at", "updated_at"}


def test_nothing_is_described_before_somebody_asks() -> None:
    run(
        Path(sys.executable),
        "-c",
        "from backend import app; from fastapi.routing import APIRoute\n"
        "routes = [r for room in app.ROUTES for r in room.router.routes if isinstance(r, APIRoute)]\n"
        "assert len(routes) > 80 and not any(r.response_field or r.response_fields for r in routes)\n"
        "assert not app.description.cache_info().currsize",
    )


TIME = "2026-01-01T00:00:00.000+00:00"


@pytest.mark.parametrize(
    "body",
    [
        {"status": "healthy"},
        {"status": "healthy", "timestamp": 5},
        {"status": "healthy", "timestamp": "yesterday"},
        {"status": "healthy", "timestamp": TIME, "more": 1},
    ],
)
def test_the_tests_client_finds_an_answer_that_is_not_as_described(body: Any) -> None:
    require_described(answer("/api/health", {"status": "healthy", "timestamp": TIME}))
    with pytest.raises((FailureGroup, JsonSchemaError)):
        require_described(answer("/api/health", body))


def test_the_tests_client_finds_the_route_of_an_answer() -> None:
    labels = {
        ("GET", "/api/models/popular/text-generation"): "/api/models/popular/text-generation",
        ("GET", "/api/models/owner/name"): "/api/models/{model_id}",
        ("GET", "/api/training/list"): "/api/training/list",
        ("POST", "/api/training/some/stop"): "/api/training/{job_id}/stop",
    }
    for (method, path), expected in labels.items():
        found = operation_at(method, path)
        assert found is not None
        assert found.path == expected
    assert operation_at("GET", "/no/such/path") is None
    assert closed()["paths"].keys() == description()["paths"].keys()
