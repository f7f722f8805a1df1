"""Uploads, from the form to the folder, over real HTTP."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest

from backend.datasets.errors import UploadTooLarge
from backend.datasets.store import Datasets
from backend.routes.datasets import UPLOAD_BYTES, limited
from tests.builders.backend import DEADLINE, TOKEN, Backend, running_backend

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    import httpx

ROWS = b'{"text": "one"}\n{"text": "three"}\n{"text": "one"}\n'


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    with running_backend(Path(sys.executable), tmp_path_factory.mktemp("datasets") / "data") as started:
        yield started


def upload(backend: Backend, content: bytes = ROWS, name: str = "rows.jsonl") -> httpx.Response:
    return backend.post("/api/datasets/upload", files={"file": (name, content)})


def left(backend: Backend) -> set[str]:
    return {path.name for path in (backend.data_dir / "datasets").iterdir()}


def test_an_upload_is_counted_measured_and_kept(backend: Backend) -> None:
    dataset = upload(backend).json()
    assert (dataset["name"], dataset["format"], dataset["size"], dataset["num_samples"]) == (
        "rows.jsonl",
        "jsonl",
        len(ROWS),
        3,
    )
    assert dataset["statistics"] == {
        "num_samples": 3,
        "conversations": 0,
        "duplicates": 1,
        "shortest": 3,
        "longest": 5,
        "average": 3.7,
    }
    assert dataset["columns"] == ["text"]
    assert Path(dataset["path"]).read_bytes() == ROWS
    assert backend.get(f"/api/datasets/{dataset['id']}").json() == dataset
    assert dataset in backend.get("/api/datasets").json()["datasets"]


def test_the_same_file_again_is_the_same_dataset(backend: Backend) -> None:
    first, second = upload(backend).json(), upload(backend, name="copy.jsonl").json()
    assert first["id"] == second["id"]
    assert upload(backend, ROWS, "rows.txt").json()["id"] != first["id"]  # as text, it says something else


def test_a_dataset_is_kept_while_a_job_could_go_on_with_it(backend: Backend, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    dataset = upload(backend, b'{"text": "needed"}\n').json()
    job_id = backend.train(model=str(tmp_path), dataset=dataset["id"])
    backend.post(f"/api/training/{job_id}/stop")
    state = backend.wait_for_job(job_id, "stopped", "failed")["state"]
    refused = backend.call("DELETE", f"/api/datasets/{dataset['id']}")
    assert (refused.status_code, refused.json()["code"]) == (409, "dataset-in-use")
    assert f"Job {job_id}" in refused.json()["message"]
    assert state in refused.json()["message"]
    backend.call("DELETE", f"/api/training/{job_id}")
    assert backend.call("DELETE", f"/api/datasets/{dataset['id']}").json()["status"] == "deleted"


def test_the_same_file_twice_at_once_is_one_dataset(tmp_path: Path) -> None:
    both = Barrier(2)  # of which each waits where it has not found the other yet

    def convert(_: Path, rows: Path) -> None:
        both.wait(DEADLINE)
        rows.write_bytes(ROWS)

    datasets = Datasets(tmp_path / "datasets")
    with ThreadPoolExecutor(2) as clients:
        one, other = clients.map(lambda _: datasets.add(io.BytesIO(b"PAR1"), "rows.parquet", convert), range(2))
    assert one.id == other.id
    assert [path.name for path in (tmp_path / "datasets").iterdir()] == [one.id]


def test_a_dataset_whose_record_is_torn_is_replaced_when_it_is_uploaded_again(backend: Backend) -> None:
    dataset = upload(backend, b"torn\n", "lines.txt").json()
    (Path(dataset["path"]).parent / "dataset.json").write_text("{")
    assert upload(backend, b"torn\n", "lines.txt").json()["id"] == dataset["id"]
    assert backend.get(f"/api/datasets/{dataset['id']}").json()["num_samples"] == 1


@pytest.mark.parametrize(
    ("content", "name", "columns"),
    [
        ("prompt;completion\nq, or not;a\n", "a.csv", ["prompt", "completion"]),
        ("id\ttext\n1\tone; two, three\n", "a.csv", ["text"]),
        ("instruction|input|output\nadd|1,2|3\n", "a.csv", ["instruction", "input", "output"]),
        ("text\none; two\n", "a.csv", ["text"]),
        ("one\n", "a.txt", []),
        ('[{"messages": [{"role": "assistant", "content": "Hello"}]}]', "a.json", ["messages"]),
    ],
)
def test_columns_are_found_whatever_stands_between_them(
    backend: Backend, content: str, name: str, columns: list[str]
) -> None:
    dataset = upload(backend, content.encode(), name).json()
    assert (dataset["columns"], dataset["num_samples"]) == (columns, 1)


def test_a_preview_shows_examples_as_text(backend: Backend) -> None:
    said = {"messages": [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Good day"}]}
    content = "".join(json.dumps(row) + "\n" for row in (said, {"prompt": "q", "completion": "a"}, {"text": "t"}))
    dataset = upload(backend, content.encode(), "chat.jsonl").json()
    assert dataset["statistics"]["conversations"] == 1
    shown = backend.get(f"/api/datasets/{dataset['id']}/preview?count=2").json()
    assert shown["examples"] == ["user: Hello\nassistant: Good day", "q\na"]
    assert backend.get(f"/api/datasets/{dataset['id']}/preview?start=2").json()["examples"] == ["t"]


@pytest.mark.parametrize(
    ("content", "name", "code", "place"),
    [
        (b'{"text": "one"}\n{"text": 2}\n', "rows.jsonl", "dataset-unusable", "line 2"),
        (b"", "rows.csv", "dataset-unusable", "the whole file"),
        (b"MZ", "program.exe", "dataset-missing", None),
        (b"x", "", "request-invalid", None),
    ],
)
def test_what_cannot_be_trained_on_is_refused_and_not_kept(
    backend: Backend, content: bytes, name: str, code: str, place: str | None
) -> None:
    upload(backend)
    before = left(backend)
    answer = upload(backend, content, name)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    if place is not None:
        assert [problem["place"] for problem in answer.json()["detail"]] == [place]
        assert all(problem["remedy"] for problem in answer.json()["detail"])
    assert left(backend) == before


@pytest.mark.parametrize("name", ["../../escaped.jsonl", "/etc/escaped.jsonl", "..\\escaped.jsonl", "a\0b.jsonl"])
def test_no_file_name_leads_out_of_the_folder(backend: Backend, name: str) -> None:
    content = ROWS + json.dumps({"text": name}).encode()
    answer = upload(backend, content, name)
    if answer.status_code == 200:
        assert Path(answer.json()["path"]).parent.parent == backend.data_dir / "datasets"
    assert not list(backend.data_dir.parent.rglob("*escaped*"))


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"json": {}},
        {"data": {"file": "a text"}},
        {"content": b"x", "headers": {"Content-Type": "multipart/form-data"}},
    ],
)
def test_a_form_without_a_file_is_refused(backend: Backend, request_: dict[str, Any]) -> None:
    answer = backend.post("/api/datasets/upload", **request_)
    assert (answer.status_code, answer.json()["code"]) == (422, "request-invalid")


def test_a_file_that_is_too_large_is_refused_before_it_is_sent(backend: Backend) -> None:
    connection = HTTPConnection("127.0.0.1", backend.port)
    connection.putrequest("POST", "/api/datasets/upload")
    connection.putheader("Authorization", f"Bearer {TOKEN}")
    connection.putheader("Content-Type", "multipart/form-data; boundary=x")
    connection.putheader("Content-Length", str(UPLOAD_BYTES * 2))
    connection.endheaders()
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())["code"]) == (413, "upload-too-large")
    connection.close()


def test_a_file_of_unknown_size_is_cut_off_at_the_limit() -> None:
    taken = []

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"12345"

    async def read() -> None:
        async for piece in limited(endless(), 12):
            taken.append(piece)  # noqa: PERF401 - what was taken before the error is the point

    with pytest.raises(UploadTooLarge):
        asyncio.run(read())
    assert taken == [b"12345"] * 2


def test_a_dataset_can_be_deleted_once(backend: Backend) -> None:
    dataset = upload(backend, b"only here\n", "lines.txt").json()
    path = f"/api/datasets/{dataset['id']}"
    assert backend.call("DELETE", path).json() == {"id": dataset["id"], "status": "deleted"}
    assert not Path(dataset["path"]).exists()
    for answer in (backend.call("DELETE", path), backend.get(path)):
        assert (answer.status_code, answer.json()["code"]) == (404, "dataset-unknown")


def test_a_training_takes_an_upload_by_its_id(backend: Backend, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    dataset = upload(backend).json()
    job = backend.job(backend.train(model=str(tmp_path), dataset_id=dataset["id"]))
    assert job["plan"]["dataset"] == dataset["path"]
    unknown = backend.post("/api/training/start", json={"model": str(tmp_path), "dataset": "0" * 16})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "dataset-unknown")


def test_parquet_without_its_reader_fails_with_the_reason(backend: Backend) -> None:
    # This interpreter has no pyarrow; the runtime's tests read real files.
    answer = upload(backend, b"PAR1", "rows.parquet")
    assert answer.status_code == 422
    assert answer.json()["code"] in {"task-failed", "parquet-unreadable"}
    assert answer.json()["remedy"]
