"""The app hears how what it started has ended, and what its user does not want to hear it does not."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from websockets.exceptions import InvalidStatus

from tests.builders.backend import DEADLINE, Backend, running_backend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from websockets.sync.connection import Connection


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """A backend without torch: whatever it starts to train fails."""
    folder = tmp_path_factory.mktemp("notifications")
    model = folder / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    (folder / "rows.txt").write_text("one line\n")
    with running_backend(Path(sys.executable), folder / "data", environment={"HF_HUB_OFFLINE": "1"}) as started:
        yield started


def train(backend: Backend, name: str) -> str:
    folder = backend.data_dir.parent
    return backend.train(model=str(folder / "model"), dataset=str(folder / "rows.txt"), name=name)


def heard(socket: Connection) -> dict[str, Any]:
    frame = json.loads(socket.recv(timeout=DEADLINE))
    assert frame["type"] == "notification"
    told: dict[str, Any] = frame["data"]
    return told


def test_how_jobs_and_downloads_fail_is_told_with_what_to_do(backend: Backend) -> None:
    with backend.websocket("/ws/notifications/all") as socket:
        train(backend, "first")
        told = heard(socket)
        assert (told["type"], told["title"], told["urgency"]) == ("error", "Training failed", "critical")
        assert told["message"].startswith("first: ")
        backend.post("/api/models/download", json={"model_id": "acme/tiny"})
        assert heard(socket)["title"] == "Download failed"


def test_a_job_is_told_of_alone(backend: Backend) -> None:
    earlier = train(backend, "earlier")
    backend.wait_for_job(earlier, "failed")
    with backend.websocket(f"/ws/notifications/{earlier}") as socket:
        backend.wait_for_job(train(backend, "another"), "failed")
        backend.post(f"/api/training/{earlier}/resume")
        assert heard(socket)["message"].startswith("earlier: ")


def test_of_what_nobody_knows_nothing_is_told(backend: Backend) -> None:
    with pytest.raises(InvalidStatus) as refused, backend.websocket("/ws/notifications/no-such-job"):
        pass
    assert refused.value.response.status_code == 403


def test_what_the_user_does_not_want_is_not_told(backend: Backend) -> None:
    off = {"category": "notifications", "values": {"trainingFailed": False, "soundEnabled": False}}
    backend.call("PUT", "/api/settings/category", json=off)
    with backend.websocket("/ws/notifications/all") as socket:
        backend.wait_for_job(train(backend, "silent"), "failed")
        backend.post("/api/models/download", json={"model_id": "acme/tiny"})
        told = heard(socket)
        assert (told["title"], told["sound"]) == ("Download failed", False)
    backend.post("/api/settings/reset?category=notifications")
