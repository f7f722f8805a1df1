"""The API's description, made when somebody asks for it: what each route takes, answers and refuses."""

from __future__ import annotations

import inspect
from types import UnionType
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin, get_type_hints

from fastapi import APIRouter
from fastapi.openapi.utils import get_openapi
from fastapi.responses import Response
from fastapi.routing import APIRoute

from backend.answers import is_text
from backend.guard import OPEN_PATH
from backend.problem import Problem
from backend.routing import Json
from backend.version import version

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.routing import BaseRoute

TOKEN = "token"  # noqa: S105 - what the description calls it
# What every route may answer, and those whose errors are texts (answers.py).
ERRORS: dict[int | str, dict[str, Any]] = {"default": {"model": Problem, "description": "Not granted"}}
ERRORS_AS_TEXT: dict[int | str, dict[str, Any]] = {
    "default": {"description": "Not granted", "content": {"text/plain": {"schema": {"type": "string"}}}}
}


def describe(routes: Iterable[BaseRoute]) -> dict[str, Any]:
    """Return the description of these routes by OpenAPI 3.1, which has no place for WebSockets (docs/api.md)."""
    described = APIRouter()
    for route in routes:
        if isinstance(route, APIRoute) and route.include_in_schema:
            described.add_api_route(
                route.path,
                route.endpoint,
                methods=route.methods,
                response_model=answer_of(route),
                response_class=route.response_class,
                responses=(ERRORS_AS_TEXT if is_text(route.path) else ERRORS) | route.responses,
                openapi_extra={"security": [] if route.path == OPEN_PATH else [{TOKEN: []}]}
                | (route.openapi_extra or {}),
            )
    description = get_openapi(title="PEFT Studio", version=version(), routes=described.routes)
    description["components"]["securitySchemes"] = {TOKEN: {"type": "http", "scheme": "bearer"}}
    return description


def answer_of(route: APIRoute) -> Any:
    """Return the type of what a route answers when all is well, None where that is no JSON."""
    returned = get_type_hints(inspect.unwrap(route.endpoint), include_extras=True)["return"]
    members = get_args(returned) if get_origin(returned) in (Union, UnionType) else (returned,)
    shapes = [_content(member) for member in members if not _is_response(member)]
    return Union[tuple(shapes)] if shapes else None  # noqa: UP007 - of types that are known at run time only


def _is_response(returned: Any) -> bool:
    return isinstance(returned, type) and issubclass(returned, Response)


def _content(returned: Any) -> Any:
    return get_args(returned)[0] if get_origin(returned) is Json else returned
