"""A hub that swallows every question holds up nobody who asks for something else."""

from __future__ import annotations

import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.builders.backend import running_backend, wait_until

SEARCHES = 12  # more than the server has threads for whatever would block it


def test_searches_that_wait_for_the_hub_leave_the_jobs_alone(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        online = {"HF_ENDPOINT": url, "HF_HUB_CACHE": str(tmp_path / "cache")}
        with (
            running_backend(Path(sys.executable), tmp_path / "data", environment=online) as backend,
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
                wait_until(lambda: all(search.done() for search in searches), "the hub is given up")
            assert {search.result().json()["online"] for search in searches} == {False}
