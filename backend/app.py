"""The FastAPI application: routes, errors and the life of its parts."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from backend.answers import answered
from backend.background import in_background
from backend.datasets.retention import clear_out_daily
from backend.debris import sweep
from backend.description import describe
from backend.errors import HttpError, InternalError, RequestError, RequestInvalid
from backend.routes import (
    absent,
    adapters,
    choices,
    configurations,
    consents,
    conversations,
    datasets,
    dependencies,
    downloads,
    engine,
    exports,
    hardware,
    health,
    inference,
    logging,
    models,
    notifications,
    offline,
    plugins,
    presets,
    pushes,
    secrets,
    settings,
    system,
    training,
)
from backend.routing import Json

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi import Request

    from backend.services import Services


ROUTES = (
    health,
    dependencies,
    system,
    engine,
    hardware,
    choices,
    downloads,
    consents,  # before the models: the last of their routes takes any id
    models,
    datasets,
    training,
    adapters,
    exports,
    pushes,
    inference,
    conversations,
    configurations,
    presets,
    settings,
    notifications,
    secrets,
    plugins,
    logging,
    offline,
    absent,
)


def create_app(services: Services) -> FastAPI:
    """Return the application that serves with these parts."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        # Not awaited: the first health answer need not wait for the database.
        opening = in_background(services.queue.open_if_used_before(), "taking up earlier jobs")
        clearing = clear_out_daily(services.datasets, services.queue, services.folders.settings)
        sweeping = asyncio.to_thread(sweep, services.folders, services.hub_cache, datetime.now(UTC))
        others = [
            in_background(sweeping, "removing what was cut off"),
            in_background(services.vault.open(), "asking the keyring for the hub's token"),
            in_background(clearing, "removing uploads that nobody uses"),
        ]
        yield
        for other in others:
            other.cancel()
        await opening
        await services.downloads.close()
        await services.inference.close()
        await services.queue.close()

    app = FastAPI(openapi_url=None, lifespan=lifespan)  # FastAPI would make the description on the event loop
    app.state.services = services
    for routes in ROUTES:
        app.include_router(routes.router)
    app.add_route("/api/openapi.json", _tell_description)
    app.add_exception_handler(RequestError, _answer_error)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(HTTPException, _answer_http_error)
    app.add_exception_handler(Exception, _answer_bug)
    return app


@cache
def description() -> dict[str, Any]:
    """Return what the routes take and answer, whatever serves them. Takes some tenths of a second the first time."""
    return describe(route for routes in ROUTES for route in routes.router.routes)


def _tell_description(_request: Request) -> Json[dict[str, Any]]:
    return Json(description())


async def _answer_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    # Not the path of request.url, which leaves line breaks and tabs out.
    media_type, body = answered(error, request.scope["path"])
    return Response(body, error.status, media_type=media_type)


async def _answer_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = [
        {"place": ".".join(str(part) for part in problem["loc"]), "reason": problem["msg"]}
        for problem in error.errors()
    ]
    return await _answer_error(request, RequestInvalid(problems))


async def _answer_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    reason = HTTPStatus(error.status_code).phrase
    return await _answer_error(request, HttpError(error.status_code, reason, request.method, request.url.path))


async def _answer_bug(request: Request, _error: Exception) -> Response:
    return await _answer_error(request, InternalError())  # the traceback goes to the log, not to the client
