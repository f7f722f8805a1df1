"""Models come from a hub by its own client, whatever happens on the way."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import socket
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import psutil
import pytest

from tests.builders.backend import DEADLINE, Backend, running_backend, wait_until
from tests.builders.disks import fill, small_disk
from tests.builders.hub import OWNER, Hub, Repository, model_folder, repository_of, running_hub
from tests.builders.processes import is_gone

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.runtime

MODEL = f"{OWNER}/llama"
SLOW = 1_000_000.0  # bytes a second
SOME = 1024 * 1024  # bytes: as many as a worker tells of at once
SHAPE = (1024, 1024)  # 4 MiB of weights


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("llama") / "model"
    model_folder(folder, SHAPE)
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-4 * 1024 * 1024 :] = os.urandom(4 * 1024 * 1024)
    (folder / "model.safetensors").write_bytes(weights)
    return folder


@pytest.fixture(scope="module")
def one_hub(llama: Path) -> Iterator[Hub]:
    with running_hub(llama=repository_of(llama)) as running:
        yield running


@pytest.fixture
def hub(one_hub: Hub, llama: Path) -> Hub:
    """The hub, with one model and the best of manners."""
    one_hub.repositories = {MODEL: repository_of(llama)}
    one_hub.cuts, one_hub.damages = 0, 0
    let_go(one_hub)
    one_hub.began.clear()
    return one_hub


def hold(hub: Hub) -> None:
    """Have the hub send SOME of the weights, slowly enough for them to be told, and no more until it is let go."""
    hub.bytes_a_second, hub.stands_at = SLOW, SOME
    hub.goes_on.clear()


def let_go(hub: Hub) -> None:
    hub.bytes_a_second, hub.stands_at = math.inf, math.inf
    hub.goes_on.set()


@contextmanager
def backend_of(python: Path, folder: Path, hub_url: str) -> Iterator[Backend]:
    online = {"HF_ENDPOINT": hub_url, "HF_HUB_CACHE": str(folder / "cache")}
    with running_backend(python, folder / "data", environment=online) as backend:
        yield backend


@pytest.fixture(scope="module")
def one_backend(runtime_python: Path, one_hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    with backend_of(runtime_python, tmp_path_factory.mktemp("backend"), one_hub.url) as running:
        yield running


@pytest.fixture
def backend(one_backend: Backend) -> Backend:
    """The backend, with an empty cache and no downloads."""
    one_backend.call("DELETE", "/api/models/cache")
    for download in one_backend.get("/api/models/downloads").json()["downloads"]:
        one_backend.call("DELETE", f"/api/models/downloads/{download['id']}")
    return one_backend


def cache_of(backend: Backend) -> Path:
    return backend.data_dir.parent / "cache"


def begin(backend: Backend, model: str = MODEL, **body: Any) -> dict[str, Any]:
    answer = backend.post("/api/models/download", json={"model_id": model} | body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def look(backend: Backend, download: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = backend.get(f"/api/models/downloads/{download['id']}").json()
    return found


def wait(backend: Backend, download: dict[str, Any], state: str = "completed") -> dict[str, Any]:
    wait_until(lambda: look(backend, download)["state"] != "running", "the download has ended")
    found = look(backend, download)
    assert found["state"] == state, found
    return found


def wait_for_some(backend: Backend, download: dict[str, Any]) -> None:
    wait_until(lambda: look(backend, download)["done"] >= SOME, f"{SOME} bytes have arrived")


def workers(backend: Backend) -> list[psutil.Process]:
    found = []
    for one in psutil.Process(backend.process.pid).children():
        with suppress(psutil.NoSuchProcess):
            if "backend.models.fetch" in one.cmdline():
                found.append(one)
    return found


def test_a_model_is_fetched_whole_with_its_commit_and_told_as_it_comes(hub: Hub, backend: Backend, llama: Path) -> None:
    hub.bytes_a_second = 4 * SLOW
    with backend.websocket("/ws/downloads") as socket:
        download = begin(backend)
        assert download["total"] == sum(path.stat().st_size for path in llama.iterdir())
        told: list[dict[str, Any]] = []
        while not told or told[-1]["state"] == "running":
            told.append(json.loads(socket.recv(timeout=DEADLINE))["data"])
    on_the_way = [one for one in told if 0 < one["done"] < one["total"]]
    assert [one["done"] for one in told] == sorted(one["done"] for one in told)
    assert any(one["rate"] > 0 and one["remaining"] > 0 for one in on_the_way)
    assert {one["name"]: one["done"] for one in told[-1]["files"]} == {
        path.name: path.stat().st_size for path in llama.iterdir()
    }
    commit = hub.repositories[MODEL].commit
    snapshot = cache_of(backend) / "models--tester--llama" / "snapshots" / commit
    assert (told[-1]["commit"], told[-1]["path"], told[-1]["done"]) == (commit, str(snapshot), download["total"])
    for path in llama.iterdir():
        assert (snapshot / path.name).read_bytes() == path.read_bytes()
    (cached,) = backend.get("/api/models/cache").json()["cached_models"]
    assert (cached["model_id"], cached["revision"]) == (MODEL, commit)
    assert backend.call("DELETE", f"/api/models/cache/{MODEL}").json() == {"deleted": [MODEL]}
    assert not snapshot.parents[1].exists()
    assert backend.call("DELETE", f"/api/models/cache/{MODEL}").json()["code"] == "model-unknown"


@pytest.mark.parametrize("killed", ["worker", "backend"])
def test_what_arrived_before_a_kill_is_not_fetched_again(
    runtime_python: Path, tmp_path: Path, hub: Hub, killed: str
) -> None:
    hold(hub)
    with backend_of(runtime_python, tmp_path, hub.url) as backend:
        download = begin(backend)
        wait_for_some(backend, download)
        worker = workers(backend)[0]
        if killed == "worker":
            worker.kill()
            ended = wait(backend, download, "interrupted")
            assert ended["done"] >= SOME
        else:
            backend.process.send_signal(signal.SIGKILL)
            backend.wait()
            wait_until(lambda: is_gone(worker), "the worker has ended with the backend")
    let_go(hub)
    hub.began.clear()
    with backend_of(runtime_python, tmp_path, hub.url) as backend:
        assert look(backend, download)["state"] == "interrupted"
        resumed = backend.post(f"/api/models/downloads/{download['id']}/resume").json()
        assert resumed["done"] >= SOME
        wait(backend, download)
        assert hub.began
        assert min(hub.began) >= SOME


def test_a_cancelled_download_stays_cancelled_until_it_is_resumed(hub: Hub, backend: Backend) -> None:
    hold(hub)
    download = begin(backend)
    assert begin(backend)["id"] == download["id"]  # asked for twice, fetched once
    assert backend.call("DELETE", f"/api/models/cache/{MODEL}").json()["code"] == "model-in-use"
    wait_for_some(backend, download)
    cancelled = backend.post(f"/api/models/downloads/{download['id']}/cancel").json()
    assert (cancelled["state"], workers(backend)) == ("cancelled", [])
    assert backend.get("/api/models/local").json()["models"] == []
    let_go(hub)
    assert backend.post(f"/api/models/downloads/{download['id']}/resume").json()["done"] >= SOME
    wait(backend, download)
    assert backend.call("DELETE", f"/api/models/downloads/{download['id']}").status_code == 200
    assert backend.get("/api/models/downloads").json() == {"downloads": []}


def test_cut_and_damaged_transfers_are_mended(hub: Hub, backend: Backend, llama: Path) -> None:
    hub.cuts = 2
    ended = wait(backend, begin(backend))
    assert [start > 0 for start in hub.began] == [False, True, True]
    assert Path(ended["path"], "model.safetensors").read_bytes() == (llama / "model.safetensors").read_bytes()
    backend.call("DELETE", f"/api/models/cache/{MODEL}")
    hub.damages = 1
    ended = wait(backend, begin(backend))
    assert Path(ended["path"], "model.safetensors").read_bytes() == (llama / "model.safetensors").read_bytes()
    backend.call("DELETE", f"/api/models/cache/{MODEL}")
    hub.damages = 2
    ended = wait(backend, begin(backend), "failed")
    assert ended["error"]["code"] == "download-damaged"
    assert backend.get("/api/models/local").json()["models"] == []


def test_models_come_side_by_side(hub: Hub, backend: Backend, llama: Path) -> None:
    hub.repositories[f"{OWNER}/other"] = repository_of(llama)
    hold(hub)
    both = [begin(backend), begin(backend, f"{OWNER}/other")]
    assert len(workers(backend)) == 2
    let_go(hub)
    for download in both:
        wait(backend, download)
    deleted = backend.call("DELETE", "/api/models/cache").json()["deleted"]
    assert sorted(deleted) == [MODEL, f"{OWNER}/other"]


def test_a_model_that_is_loaded_cannot_be_deleted(hub: Hub, backend: Backend, material: Path) -> None:
    hub.repositories[f"{OWNER}/real"] = repository_of(material / "model")
    wait(backend, begin(backend, f"{OWNER}/real"))
    loaded = backend.post("/api/inference/load", json={"model_id": f"{OWNER}/real"}).json()
    for place in (f"cache/{OWNER}/real", "cache"):
        refused = backend.call("DELETE", f"/api/models/{place}")
        assert (refused.status_code, refused.json()["code"]) == (409, "model-in-use")
        assert "loaded" in refused.json()["message"]
    backend.post(f"/api/inference/models/{loaded['model_id']}/unload")
    assert backend.call("DELETE", f"/api/models/cache/{OWNER}/real").json() == {"deleted": [f"{OWNER}/real"]}


def test_what_the_hub_does_not_give_says_why_and_what_to_do(hub: Hub, backend: Backend, llama: Path) -> None:
    hub.repositories |= {
        f"{OWNER}/gated": repository_of(llama, gated=True),
        f"{OWNER}/private": repository_of(llama, private=True),
        f"{OWNER}/pickled": Repository({"config.json": b"{}", "pytorch_model.bin": b"..."}),
        f"{OWNER}/empty": Repository({"README.md": b"soon"}),
    }

    def refused(name: str, **body: Any) -> tuple[str, str]:
        answer = backend.post("/api/models/download", json={"model_id": f"{OWNER}/{name}"} | body)
        assert answer.status_code == 422
        return answer.json()["code"], answer.json()["remedy"]

    code, remedy = refused("gated")
    assert code == "model-gated"
    assert f"{hub.url}/{OWNER}/gated" in remedy
    assert "token" in remedy
    assert refused("private")[0] == refused("missing")[0] == "model-not-found"
    assert refused("llama", revision="no-such")[0] == "revision-not-found"
    assert refused("pickled")[0] == "pickle-not-trusted"
    assert refused("empty")[0] == "model-without-weights"
    assert backend.get("/api/models/downloads").json() == {"downloads": []}
    wait(backend, begin(backend, f"{OWNER}/pickled", pickle=True))


def test_offline_is_said_and_not_waited_for(runtime_python: Path, tmp_path: Path) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))  # and does not listen, nor can anybody else
        with backend_of(runtime_python, tmp_path, f"http://127.0.0.1:{deaf.getsockname()[1]}") as backend:
            answer = backend.post("/api/models/download", json={"model_id": MODEL})
            assert (answer.status_code, answer.json()["code"]) == (422, "hub-unreachable")


def test_a_model_that_finds_no_room_is_not_begun(hub: Hub, backend: Backend, tmp_path: Path) -> None:
    hub.repositories[MODEL].files["model.safetensors"] = Huge(shutil.disk_usage(tmp_path).free + 2**40)
    answer = backend.post("/api/models/download", json={"model_id": MODEL})
    assert answer.json()["code"] == "disk-full"
    assert "free" in answer.json()["message"]


@pytest.mark.root
def test_a_disk_that_fills_up_on_the_way_is_said_and_what_has_arrived_is_kept(
    runtime_python: Path, tmp_path: Path, hub: Hub
) -> None:
    hold(hub)
    with small_disk(tmp_path / "cache", "size=16m") as disk, backend_of(runtime_python, tmp_path, hub.url) as backend:
        download = begin(backend)
        wait_for_some(backend, download)
        filler = fill(disk)
        let_go(hub)
        error = wait(backend, download, "failed")["error"]
        assert (error["code"], "room" in error["remedy"]) == ("disk-full", True)
        filler.unlink()
        assert backend.post(f"/api/models/downloads/{download['id']}/resume").json()["done"] >= SOME
        wait(backend, download)


@pytest.mark.root
def test_a_download_whose_end_cannot_be_written_ends_all_the_same(
    runtime_python: Path, tmp_path: Path, hub: Hub, llama: Path
) -> None:
    hub.repositories[f"{OWNER}/other"] = repository_of(llama)
    records = tmp_path / "data" / "downloads"
    with small_disk(records, "size=4k"), backend_of(runtime_python, tmp_path, hub.url) as backend:
        download = begin(backend)  # takes the only page of its disk
        wait(backend, download, "interrupted")
        assert backend.call("DELETE", f"/api/models/cache/{MODEL}").json() == {"deleted": [MODEL]}
        answer = backend.post("/api/models/download", json={"model_id": f"{OWNER}/other"})
        assert (answer.status_code, answer.json()["code"]) == (422, "download-not-kept")
        assert "room" in answer.json()["remedy"]
        assert workers(backend) == []


class Huge(bytes):
    """Content that says that it is longer than any disk."""

    def __new__(cls, length: int) -> Self:
        made = super().__new__(cls, b"huge")
        made.length = length
        return made

    length: int

    def __len__(self) -> int:
        return self.length
