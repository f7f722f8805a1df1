"""Uploads that nobody refers to do not stay for ever, and none goes that somebody may need."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from backend.datasets.retention import FRESH, UNUSED, expired
from backend.datasets.statistics import Statistics
from backend.datasets.store import Dataset
from tests.builders.backend import Backend, running_backend, wait_until

MOMENT = datetime(2026, 6, 1, tzinfo=UTC)
STATISTICS = Statistics(num_samples=1, conversations=0, duplicates=0, shortest=1, longest=1, average=1.0)


def dataset(number: int, size: int, days: float) -> Dataset:
    used = (MOMENT - timedelta(days=days)).isoformat()
    return Dataset(
        id=f"{number:016x}",
        name=f"{number}.txt",
        path=f"/uploads/{number}",
        format="txt",
        size=size,
        created_at=used,
        used_at=used,
        columns=(),
        num_samples=STATISTICS.num_samples,
        statistics=STATISTICS,
    )


UPLOADS = st.lists(st.tuples(st.integers(1, 100), st.floats(0, 60)), max_size=8).map(
    lambda facts: [dataset(number, size, days) for number, (size, days) in enumerate(facts)]
)


@given(uploads=UPLOADS, most=st.integers(0, 400), needed=st.sets(st.integers(0, 7)))
def test_what_goes_is_unneeded_and_either_long_unused_or_too_much(
    uploads: list[Dataset], most: int, needed: set[int]
) -> None:
    paths = {f"/uploads/{number}" for number in needed}
    gone = expired(uploads, paths, most, MOMENT)
    kept = [one for one in uploads if one not in gone]

    def age(one: Dataset) -> timedelta:
        return MOMENT - datetime.fromisoformat(one.used_at)

    assert not any(one.path in paths or age(one) <= FRESH for one in gone)
    free = [one for one in kept if one.path not in paths and age(one) > FRESH]
    assert all(age(one) <= UNUSED for one in free)
    assert not free or sum(one.size for one in kept) <= most


def upload(backend: Backend, text: str) -> str:
    answer = backend.post("/api/datasets/upload", files={"file": ("rows.txt", text.encode())})
    return str(answer.json()["id"])


def test_a_start_removes_an_old_upload_but_not_one_that_a_job_was_trained_on(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    with running_backend(Path(sys.executable), tmp_path / "data") as backend:
        used, unused, renewed = (upload(backend, f"line {number}\n" * 3) for number in range(3))
        job = backend.train(model=str(model), dataset=used)
        backend.wait_for_job(job, "failed")
        for dataset_id in (used, unused, renewed):
            record = backend.data_dir / "datasets" / dataset_id / "dataset.json"
            fields = json.loads(record.read_text())
            record.write_text(json.dumps(fields | {"used_at": (datetime.now(UTC) - 2 * UNUSED).isoformat()}))
        assert upload(backend, "line 2\n" * 3) == renewed
    with running_backend(Path(sys.executable), tmp_path / "data") as backend:

        def listed() -> set[str]:
            return {one["id"] for one in backend.get("/api/datasets").json()["datasets"]}

        wait_until(lambda: unused not in listed(), "the unused upload has gone")
        assert listed() == {used, renewed}
