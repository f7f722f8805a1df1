"""The API's description, read more strictly than clients have to: an answer may say nothing that is not described."""

from __future__ import annotations

import copy
import re
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

import httpx
import schemathesis
from pydantic_core import to_json

from backend.app import description

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemathesis.schemas import APIOperation

    Operation = APIOperation[Any, Any, Any, Any]

PREFIX = "#/components/schemas/"


def schemas_of(value: Any, components: dict[str, Any], seen: set[str]) -> Iterator[dict[str, Any]]:
    """Yield every schema that a part of the description holds or refers to; `seen` are names of components."""
    if isinstance(value, list):
        for one in value:
            yield from schemas_of(one, components, seen)
    elif isinstance(value, dict):
        yield value
        name = str(value.get("$ref", "")).removeprefix(PREFIX)
        if name and name not in seen:
            seen.add(name)
            yield from schemas_of(components[name], components, seen)
        for one in value.values():
            yield from schemas_of(one, components, seen)


@cache
def closed() -> dict[str, Any]:
    """Return the description, with objects of answers that have the described properties alone."""
    whole = copy.deepcopy(description())
    operations = [operation for methods in whole["paths"].values() for operation in methods.values()]
    components = whole["components"]["schemas"]
    taken: set[str] = set()
    for operation in operations:
        list(schemas_of(operation.get("requestBody"), components, taken))
    for operation in operations:
        for schema in schemas_of(operation["responses"], components, set(taken)):
            if schema.get("type") == "object" and "properties" in schema:
                schema.setdefault("additionalProperties", False)
    return whole


@cache
def schema() -> Any:
    """Return schemathesis's view of the closed description."""
    return schemathesis.openapi.from_dict(closed())


def operation_at(method: str, path: str) -> Operation | None:
    """Return the operation that answers at a path; None if no route does, or none that is described."""
    for anything in (r"[^/]+", r".+"):  # an id may hold slashes
        for template, methods in closed()["paths"].items():
            pattern = anything.join(map(re.escape, re.split(r"\{\w+\}", template)))
            if method.lower() in methods and re.fullmatch(pattern, path):
                found: Operation = schema()[template][method.lower()]
                return found
    return None


def answer(path: str, body: Any) -> httpx.Response:
    """Return what a client of `path` gets, if all is well, of a route that answers `body`."""
    told = httpx.Response(200, content=to_json(body), request=httpx.Request("GET", f"http://127.0.0.1{path}"))
    told.headers["Content-Type"] = "application/json"
    told.elapsed = timedelta()
    return told


def require_described(answer: httpx.Response) -> None:
    """Raise schemathesis's failure unless an answer has a status, a media type and a shape of its description."""
    operation = operation_at(answer.request.method, answer.request.url.path)
    if operation is not None:
        # A request that was streamed cannot be looked at again, which schemathesis does.
        asked = httpx.Request(answer.request.method, answer.request.url)
        told = httpx.Response(answer.status_code, headers=answer.headers, content=answer.content, request=asked)
        told.elapsed = answer.elapsed
        operation.validate_response(told)
