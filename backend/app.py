"""The FastAPI application: routes, errors and the life of its parts."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from backend.answers import answered, is_text
from backend.background import in_background
from backend.datasets.retention import clear_out_daily
from backend.debris import sweep
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
from backend.schemas import ERRORS, ERRORS_AS_TEXT

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

    # Swagger's page loads its scripts from the network; the description of the API alone stays.
    app = FastAPI(
        title="PEFT Studio", openapi_url="/api/openapi.json", docs_url=None, redoc_url=None, lifespan=lifespan
    )
    app.state.services = services
    for routes in ROUTES:
        for route in routes.router.routes:
            if isinstance(route, APIRoute) and is_text(route.path):
                route.responses |= ERRORS_AS_TEXT
        app.include_router(routes.router, responses=ERRORS)
    app.add_exception_handler(RequestError, _answer_error)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(HTTPException, _answer_http_error)
    app.add_exception_handler(Exception, _answer_bug)
    return app


async def _answer_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    media_type, body = answered(error, request.url.path)
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
