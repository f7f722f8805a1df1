"""What the routes work with, made once per app and found through the request."""

# FastAPI reads the annotations of `services` when routes are declared, so they are not deferred here.
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from starlette.requests import HTTPConnection

from backend.engine import EngineWatch
from backend.hardware import HardwareWatch
from backend.jobs.queue import Queue
from backend.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Services:
    """The parts behind the routes. `stop` asks the server to end gracefully."""

    settings: Settings
    engine: EngineWatch
    hardware: HardwareWatch
    queue: Queue
    stop: Callable[[], None]


def services(connection: HTTPConnection) -> Services:
    """Return the services of the app that received this request or WebSocket."""
    return cast("Services", connection.app.state.services)
