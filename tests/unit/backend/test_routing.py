"""Routes that write their own answers, and what is read of them by who asks for the description."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse, Response
from typing_extensions import TypedDict

from backend.description import describe
from backend.routing import Json, Router

if TYPE_CHECKING:
    from collections.abc import Callable


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Point:
    """A place."""

    x: float
    colours: tuple[Colour, ...] = (Colour.RED,)


class Points(TypedDict):
    """Places."""

    points: list[Point]


POINTS: Points = {"points": [Point(1.5), Point(float("nan"))]}


def at_once() -> Points:
    """Answer beside the event loop."""
    return POINTS


async def in_turn() -> Points:
    """Answer on the event loop."""
    return POINTS


def with_headers() -> Json[Points]:
    """Answer with a header."""
    return Json(POINTS, 202, {"Cache-Control": "max-age=2"})


def maybe() -> Points | Response:
    """Answer, or say something else."""
    return PlainTextResponse("busy", 429)


def answered(endpoint: Callable[[], Any]) -> tuple[int, dict[bytes, bytes], bytes]:
    """Ask a route with this endpoint, as a server does; return status, headers and body."""
    router = Router(prefix="/api")
    router.get("/points")(endpoint)
    app = FastAPI()
    app.include_router(router)
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/api/points", "headers": [], "query_string": b""}
    asyncio.run(app(scope, receive, send))
    start, body = sent
    return start["status"], dict(start["headers"]), body["body"]


@pytest.mark.parametrize("endpoint", [at_once, in_turn])
def test_data_types_are_written_as_they_are_and_no_number_that_json_has_not(endpoint: Callable[[], Any]) -> None:
    status, headers, body = answered(endpoint)
    assert (status, headers[b"content-type"]) == (200, b"application/json")
    assert json.loads(body) == {"points": [{"x": 1.5, "colours": ["red"]}, {"x": None, "colours": ["red"]}]}


def test_an_answer_may_have_headers_and_a_status() -> None:
    status, headers, body = answered(with_headers)
    assert (status, headers[b"cache-control"]) == (202, b"max-age=2")
    assert len(json.loads(body)["points"]) == 2


def test_what_is_a_response_already_is_sent_as_it_is() -> None:
    assert answered(maybe)[::2] == (429, b"busy")


@pytest.mark.parametrize("endpoint", [at_once, in_turn, with_headers, maybe])
def test_the_description_says_what_the_annotation_does(endpoint: Callable[[], Any]) -> None:
    router = Router(prefix="/api")
    router.get("/points")(endpoint)
    described = describe(router.routes)
    operation = described["paths"]["/api/points"]["get"]
    shape = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert shape == {"$ref": "#/components/schemas/Points"}
    assert described["components"]["schemas"]["Points"]["required"] == ["points"]
    assert described["components"]["schemas"]["Point"]["description"] == "A place."
    assert operation["description"] == endpoint.__doc__


def test_a_route_is_made_without_a_validator_of_its_answer() -> None:
    router = Router()
    router.get("/points")(at_once)
    assert router.routes[0].response_field is None  # type: ignore[attr-defined]
