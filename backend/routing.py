"""Routes that write their own answers. What they answer in says their annotation, which is read by who asks for it.

FastAPI would make a validator of each route's answer at the start, twice, to check what the type checker has checked.
"""

from __future__ import annotations

import inspect
from functools import wraps
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from fastapi import APIRouter
from fastapi.responses import Response
from fastapi.routing import APIRoute
from pydantic_core import to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Shape = TypeVar("Shape")
# What a route answers that gives a file, beside `response_class`.
ZIP: dict[int | str, dict[str, Any]] = {
    200: {"description": "A zip", "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}}
}


class Json(Response, Generic[Shape]):
    """An answer in a shape, with headers or made in a thread of its own. Infinite and undefined numbers are null."""

    media_type = "application/json"

    def __init__(self, content: Shape, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(to_json(content, inf_nan_mode="null"), status, headers)


class Route(APIRoute):
    """A route whose endpoint may return anything that JSON can hold: dicts, and our own data types."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, _writing(endpoint), **options | {"response_model": None})


class Router(APIRouter):
    """Some routes that have the beginning of their path in common."""

    def __init__(self, prefix: str = "") -> None:
        super().__init__(prefix=prefix, route_class=Route)


def _writing(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Return an endpoint that writes what it makes as JSON, in the thread that made it."""
    if inspect.iscoroutinefunction(endpoint):

        @wraps(endpoint)
        async def written(**given: Any) -> Response:
            return _written(await endpoint(**given))
    else:

        @wraps(endpoint)
        def written(**given: Any) -> Response:
            return _written(endpoint(**given))

    return written


def _written(answer: Any) -> Response:
    return answer if isinstance(answer, Response) else Json(answer)
