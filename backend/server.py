"""Run the application on a socket that already listens, until something asks it to stop."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from backend import announce
from backend.adapters.shelf import Adapters
from backend.app import create_app
from backend.datasets.store import Datasets
from backend.documents import Shelf
from backend.engine import EngineWatch
from backend.errors import EXIT_INTERRUPTED
from backend.folders import Folders
from backend.guard import Guard, Policy, local_hosts
from backend.hardware import HardwareWatch
from backend.inference.models import Models
from backend.jobs.queue import Queue
from backend.journal import Journal
from backend.logs import log_from
from backend.models.downloads import KIND as DOWNLOAD
from backend.models.downloads import Downloads
from backend.models.hub import Hub
from backend.models.local import hub_cache
from backend.models.trust import CONSENTS_VARIABLE, Consents
from backend.plugins.plugins import Plugins
from backend.preferences import read
from backend.redaction import hide
from backend.repeats import RepeatWatch
from backend.routes.hardware import PROFILE_SECONDS
from backend.services import Services
from backend.settings import user_folder, withdraw_attempt
from backend.tasks.process import Tasks
from backend.tasks.pushes import Pushes
from backend.vault import Vault
from backend.version import version
from backend.workers import HUB_TOKEN_VARIABLE

if TYPE_CHECKING:
    import socket
    from types import FrameType

    from backend.settings import Settings

REQUESTS_SECONDS = 3  # what requests under way get to finish, before jobs get their grace period
STDIN = 0
READ_BYTES = 4096

log = logging.getLogger(__name__)


def serve(settings: Settings, listener: socket.socket, token: str | None) -> int:
    """Serve until asked to stop; return the exit status."""
    port: int = listener.getsockname()[1]
    for secret in (token, os.environ.get(HUB_TOKEN_VARIABLE)):
        if secret:
            hide(secret)
    watch = EngineWatch(settings.home, Path(sys.prefix))
    folders = Folders(settings.data_dir)
    log_from(read(folders.settings).advanced.logLevel)
    journal = Journal()
    logging.getLogger().addHandler(journal)
    cache = hub_cache(os.environ, user_folder(settings.data_dir))
    os.environ[CONSENTS_VARIABLE] = str(folders.consents)  # for every worker, and for those that workers start
    tasks = Tasks(watch.is_whole)
    vault = Vault(folders.secrets, tasks, watch)
    services = Services(
        settings=settings,
        folders=folders,
        engine=watch,
        hardware=HardwareWatch(PROFILE_SECONDS, settings.data_dir),
        queue=Queue(
            folders, watch.is_whole, lambda: read(folders.settings).training.autoResume, settings.grace_seconds
        ),
        journal=journal,
        hub=Hub(os.environ, lambda: os.environ.get(HUB_TOKEN_VARIABLE)),
        hub_cache=cache,
        downloads=Downloads(Shelf(folders.downloads, DOWNLOAD), cache, watch.is_whole),
        consents=Consents(folders.consents),
        configurations=Shelf(folders.configurations, "configuration"),
        presets=Shelf(folders.presets, "preset"),
        conversations=Shelf(folders.conversations, "conversation"),
        datasets=Datasets(folders.datasets),
        tasks=tasks,
        pushes=Pushes(tasks),
        inference=Models(watch.is_whole, settings.log_dir),
        adapters=Adapters(folders.adapters),
        repeats=RepeatWatch(),
        vault=vault,
        plugins=Plugins((settings.home or settings.data_dir) / "plugins", tasks, vault),
        stop=lambda: server.stop("asked by a client"),
    )
    policy = Policy(hosts=local_hosts(port), origins=settings.origins, token=token)
    config = uvicorn.Config(
        Guard(create_app(services), policy),
        log_config=None,  # ours is set up already
        access_log=False,  # the app asks for health so often that nothing else would be seen
        server_header=False,
        proxy_headers=False,  # clients speak for themselves
        timeout_graceful_shutdown=REQUESTS_SECONDS,
    )
    server = Server(config, settings, port)
    if settings.until_eof:
        threading.Thread(target=_wait_for_eof, args=(server,), name="until-eof", daemon=True).start()
    asyncio.run(server.serve(sockets=[listener]))
    return EXIT_INTERRUPTED if server.stopped_by == signal.SIGINT else 0


class Server(uvicorn.Server):
    """uvicorn's server, which says when it answers, and ends by returning instead of by a signal."""

    def __init__(self, config: uvicorn.Config, settings: Settings, port: int) -> None:
        super().__init__(config)
        self.stopped_by: int | None = None
        self._settings = settings
        self._port = port

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start answering, then say so."""
        await super().startup(sockets)
        withdraw_attempt(os.environ)  # the launcher learns from it that this start went well
        announce.listening(
            self._settings.host,
            self._port,
            pid=os.getpid(),
            version=version(),
            as_json=self._settings.json,
        )

    def stop(self, why: str) -> None:
        """Ask the server to end gracefully. May be called from any thread."""
        log.info("stopping: %s", why)
        self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        """Stop on a signal; a second Ctrl-C does not wait."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.stopped_by = sig
        self.stop(signal.Signals(sig).name)


def _wait_for_eof(server: Server) -> None:
    try:
        while os.read(STDIN, READ_BYTES):
            pass
    except OSError as error:  # a stdin that is closed or broken has ended too
        print(f"stdin: {error}", file=sys.stderr)
    server.stop("stdin has ended")
