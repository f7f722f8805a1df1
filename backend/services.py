"""What the routes work with, made once per app and found through the request."""

# FastAPI reads the annotations of `services` when routes are declared, so they are not deferred here.
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from starlette.requests import HTTPConnection

from backend.adapters.shelf import Adapters
from backend.configurations import SavedConfiguration
from backend.conversations import Conversation
from backend.datasets.store import Datasets
from backend.documents import Shelf
from backend.engine import EngineWatch
from backend.folders import Folders
from backend.hardware import HardwareWatch
from backend.inference.models import Models
from backend.jobs.queue import Queue
from backend.journal import Journal
from backend.models.downloads import Downloads
from backend.models.hub import Hub
from backend.models.trust import Consents
from backend.plugins.plugins import Plugins
from backend.presets import KeptPreset
from backend.repeats import RepeatWatch
from backend.settings import Settings
from backend.tasks.process import Tasks
from backend.tasks.pushes import Pushes
from backend.vault import Vault


@dataclass(frozen=True, kw_only=True)
class Services:
    """The parts behind the routes. `hub_cache` holds fetched models; `stop` asks the server to end gracefully."""

    settings: Settings
    folders: Folders
    engine: EngineWatch
    hardware: HardwareWatch
    queue: Queue
    journal: Journal
    hub: Hub
    hub_cache: Path
    downloads: Downloads
    consents: Consents
    configurations: Shelf[SavedConfiguration]
    presets: Shelf[KeptPreset]
    conversations: Shelf[Conversation]
    datasets: Datasets
    tasks: Tasks
    pushes: Pushes
    inference: Models
    adapters: Adapters
    repeats: RepeatWatch
    vault: Vault
    plugins: Plugins
    stop: Callable[[], None]


def services(connection: HTTPConnection) -> Services:
    """Return the services of the app that received this request or WebSocket."""
    return cast("Services", connection.app.state.services)
