"""A hub that swallows every question holds up nobody who asks for something else."""

from __future__ import annotations

import asyncio
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from backend.models import hub
from backend.models.hub import Hub
from tests.builders.backend import DEADLINE, running_backend
from tests.builders.hub import PATIENT

if TYPE_CHECKING:
    import pytest

SEARCHES = 12  # more than the server has threads for whatever would block it


def test_searches_that_wait_for_the_hub_leave_the_jobs_alone(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        online = {"HF_ENDPOINT": url_of(silent), "HF_HUB_CACHE": str(tmp_path / "cache")}
        with (
            running_backend(Path(sys.executable), tmp_path / "data", environment=online, constants=PATIENT) as backend,
            ThreadPoolExecutor(SEARCHES) as clients,
        ):
            backend.get("/api/training/list")  # opens the database
            searches = [
                clients.submit(backend.post, "/api/models/search", json={"query": str(number)})
                for number in range(SEARCHES)
            ]
            question, _ = silent.accept()  # one is under way, and gets no answer
            with question:
                assert backend.get("/api/training/list").json() == {"jobs": []}
                assert not any(search.done() for search in searches)
            assert {search.result().json()["online"] for search in searches} == {False}


def test_a_hub_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "ANSWER_SECONDS", 0.1)

    async def search() -> object:
        return await asyncio.wait_for(Hub({"HF_ENDPOINT": url_of(silent)}, lambda: None).search("any", 1), DEADLINE)

    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert asyncio.run(search()) is None


def url_of(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}"
