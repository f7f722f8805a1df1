"""What the launcher's files say of the runtime, and how jobs wait for the rest of it."""

from __future__ import annotations

import asyncio
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend import engine
from backend.documents import read_object
from backend.engine import STALLED_SECONDS, WHOLE, Arrival, Engine, EngineWatch, Obstacle, Part, judge
from backend.errors import EngineArriving
from tests.builders.backend import DEADLINE, Backend, running_backend

if TYPE_CHECKING:
    from collections.abc import Iterator

ARRIVING = Engine(part=Part.CORE, state=Arrival.ARRIVING)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["part", "done", "total", "unit", "x"]), inner),
)


def write(path: Path, document: object) -> None:
    """Replace a document as the launcher does: at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(json.dumps(document))
    new.replace(path)


@pytest.mark.parametrize("receipt", [{"part": "whole"}, {"runtime": "written before parts were known"}])
def test_a_receipt_for_the_whole_means_ready(receipt: dict[str, Any]) -> None:
    assert judge(receipt, {"done": 1, "total": 2, "unit": "bytes"}, silent_seconds=0) == WHOLE


def test_a_receipt_for_the_core_means_that_the_rest_arrives() -> None:
    found = judge({"part": "core"}, {"done": 1, "total": 2, "unit": "bytes"}, silent_seconds=0)
    assert found == Engine(part=Part.CORE, state=Arrival.ARRIVING, done=1, total=2, unit="bytes")


def test_why_the_rest_does_not_come_is_said_at_once() -> None:
    problem = {"code": "disk-full", "message": "The disk is too full.", "remedy": "Free some room."}
    found = judge({"part": "core"}, {"problem": problem}, silent_seconds=0)
    assert found == Engine(part=Part.CORE, state=Arrival.STALLED, problem=Obstacle(**problem))
    told: dict[str, Any] = {"done": 3, "total": 9, "unit": "bytes"}
    far = judge({"part": "core"}, {**told, "problem": problem}, silent_seconds=0)
    assert far == Engine(part=Part.CORE, state=Arrival.STALLED, problem=Obstacle(**problem), **told)


def test_without_a_receipt_the_runtime_is_not_whole() -> None:
    assert judge(None, None, silent_seconds=0) == ARRIVING


def test_long_silence_is_said() -> None:
    assert judge({"part": "core"}, None, silent_seconds=STALLED_SECONDS).state is Arrival.STALLED


@pytest.mark.parametrize(
    "progress",
    [{}, {"done": 1}, {"done": "1", "total": 2, "unit": "bytes"}, {"done": 3, "total": 2, "unit": "bytes"}],
)
def test_progress_that_makes_no_sense_is_left_out(progress: dict[str, Any]) -> None:
    assert judge({"part": "core"}, progress, silent_seconds=0) == ARRIVING


@given(st.none() | st.dictionaries(st.text(), JSON), JSON)
def test_no_document_of_another_program_is_ever_an_error(receipt: dict[str, Any] | None, progress: object) -> None:
    found = judge(receipt, progress if isinstance(progress, dict) else None, silent_seconds=0)
    assert found.total is None or (found.done is not None and 0 <= found.done <= found.total)


@pytest.mark.parametrize("content", [None, b"", b"{", b"[1]", b"null", b"\xff", b"[" * 100_000])
def test_a_file_that_is_no_object_is_as_good_as_none(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "file.json").write_bytes(content)
    assert read_object(tmp_path / "file.json") is None


def test_an_interpreter_outside_the_home_is_development(tmp_path: Path) -> None:
    assert EngineWatch(None, Path(sys.prefix)).engine() == WHOLE
    assert EngineWatch(tmp_path, Path(sys.prefix)).engine() == WHOLE


def test_the_receipt_of_the_running_slot_counts(tmp_path: Path) -> None:
    watch = EngineWatch(tmp_path, tmp_path / "rt" / "0123abcd")
    write(tmp_path / "receipts" / "ffffffff.json", {"part": "whole"})
    assert not watch.is_whole()
    write(tmp_path / "receipts" / "0123abcd.json", {"part": "core"})
    assert not watch.is_whole()
    write(tmp_path / "receipts" / "0123abcd.json", {"part": "whole"})
    assert watch.is_whole()


@pytest.fixture
def arriving(tmp_path: Path) -> Iterator[tuple[Backend, Path]]:
    """Give a backend whose runtime has only its core, and its receipt: an environment made of links to this one's."""
    slot = tmp_path / "home" / "rt" / "0123abcd"
    (slot / "bin").mkdir(parents=True)
    python = slot / "bin" / "python"
    python.symlink_to(Path(sys.executable).resolve())
    (slot / "lib").symlink_to(Path(sys.prefix) / "lib", target_is_directory=True)
    (slot / "pyvenv.cfg").write_text(f"home = {Path(sys.executable).resolve().parent}\n")
    receipt = tmp_path / "home" / "receipts" / "0123abcd.json"
    write(receipt, {"part": "core"})
    write(tmp_path / "home" / "progress.json", {"done": 5, "total": 9, "unit": "bytes"})
    home = {"PEFT_STUDIO_HOME_STATE": str(tmp_path / "home")}
    with running_backend(python, tmp_path / "home" / "data", environment=home) as backend:
        yield backend, receipt


def test_the_server_shows_how_far_the_rest_has_come(arriving: tuple[Backend, Path]) -> None:
    backend, receipt = arriving
    assert backend.get("/api/engine").json() == {
        "part": "core",
        "state": "arriving",
        "done": 5,
        "total": 9,
        "unit": "bytes",
        "problem": None,
    }
    write(receipt, {"part": "whole"})
    assert backend.get("/api/engine").json()["part"] == "whole"


def test_that_the_rest_has_come_is_told_to_whoever_wants_notifications(arriving: tuple[Backend, Path]) -> None:
    backend, receipt = arriving
    with backend.websocket("/ws/notifications/all") as socket:
        write(receipt, {"part": "whole"})
        assert json.loads(socket.recv(timeout=DEADLINE))["data"]["title"] == "The engine is complete"


def test_a_job_waits_for_the_rest_says_so_and_starts_by_itself(arriving: tuple[Backend, Path], tmp_path: Path) -> None:
    backend, receipt = arriving
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    (tmp_path / "rows.jsonl").write_text('{"text": "one"}\n')
    body = {"model": str(tmp_path / "model"), "dataset": str(tmp_path / "rows.jsonl")}
    answer = backend.post("/api/training/start", json=body).json()
    assert answer["status"] == "queued"
    with backend.websocket(f"/ws/training/{answer['job_id']}") as socket:
        while (frame := json.loads(socket.recv()))["type"] != "log_entry":
            pass
    assert "still arriving" in frame["data"]["log"]["message"]
    waiting = backend.job(answer["job_id"])
    assert (waiting["state"], waiting["waiting_for"]) == ("queued", "engine")
    write(receipt, {"part": "whole"})
    # Its model is none, so that it fails; that it was tried is the point.
    assert backend.wait_for_job(answer["job_id"], "failed")["waiting_for"] is None


def test_a_model_is_loaded_once_the_rest_has_come(arriving: tuple[Backend, Path], tmp_path: Path) -> None:
    backend, receipt = arriving
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    body = {"model_id": str(tmp_path / "model")}
    with ThreadPoolExecutor(1) as client:
        loading = client.submit(backend.post, "/api/inference/load", json=body)
        backend.get("/api/engine")
        assert not loading.done()
        write(receipt, {"part": "whole"})
        # It has no weights, or this interpreter no torch; that it was tried is the point.
        assert loading.result(DEADLINE).json()["code"] in {"model-not-loaded", "inference-ended"}


@pytest.mark.parametrize("missing", ["no such folder", "empty"])
def test_that_there_is_no_model_to_load_is_said_before_the_rest_has_come(
    arriving: tuple[Backend, Path], tmp_path: Path, missing: str
) -> None:
    backend, receipt = arriving
    (tmp_path / "empty").mkdir()
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    model, absent = str(tmp_path / "model"), str(tmp_path / missing)
    bodies: list[dict[str, str]] = [{"model_id": absent}, {"model_id": model, "adapter_path": absent}]
    with ThreadPoolExecutor(len(bodies)) as clients:
        loads = [clients.submit(backend.post, "/api/inference/load", json=body) for body in bodies]
        try:
            assert [load.result(DEADLINE).json()["code"] for load in loads] == ["model-missing"] * len(bodies)
            assert backend.get("/api/engine").json()["part"] == "core"
        finally:
            write(receipt, {"part": "whole"})


def test_whoever_needs_the_rest_at_once_is_told_that_it_arrives(arriving: tuple[Backend, Path]) -> None:
    backend, _ = arriving
    for answer in (backend.get("/api/plugins"), backend.post("/api/models/download", json={"model_id": "a/b"})):
        assert (answer.status_code, answer.json()["code"]) == (503, "engine-arriving")
        assert "GET /api/engine" in answer.json()["remedy"]


def test_nobody_waits_for_a_rest_that_has_stalled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "STALLED_SECONDS", 0.0)
    with pytest.raises(EngineArriving):
        asyncio.run(EngineWatch(tmp_path, tmp_path / "rt" / "0123abcd").rest())
