"""The database of jobs: what an earlier version left, and what something else has damaged."""

from __future__ import annotations

import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sql

from backend.jobs.errors import JobsDamaged, JobsNotKept
from backend.jobs.schema import STEPS, bring_up
from backend.jobs.store import Store
from backend.states import State
from backend.training.events import Note
from backend.training.plan import TrainingPlan
from tests.builders.backend import running_backend

# As the first version made it, and filled it.
FIRST_VERSION = """
CREATE TABLE jobs (
    number INTEGER NOT NULL, id VARCHAR NOT NULL, state VARCHAR NOT NULL, "plan" JSON NOT NULL,
    created_at VARCHAR NOT NULL, started_at VARCHAR, ended_at VARCHAR, adapter_path VARCHAR, error JSON,
    PRIMARY KEY (number), UNIQUE (id)
);
CREATE INDEX ix_jobs_state ON jobs (state);
CREATE TABLE events (
    number INTEGER NOT NULL, job_id VARCHAR NOT NULL, line VARCHAR NOT NULL,
    PRIMARY KEY (number), FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE
);
CREATE INDEX ix_events_job_id ON events (job_id);
PRAGMA user_version = 1;
"""
NOTE = '{"event": "note", "time": "2026-01-01T00:00:00+00:00", "level": "INFO", "message": "hello"}'
LATER = (*STEPS, ("ALTER TABLE jobs ADD COLUMN note VARCHAR", "UPDATE jobs SET note = upper(id)"))


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A database of the first version, with a job that failed."""
    path = tmp_path / "jobs.sqlite3"
    plan = json.dumps(TrainingPlan(name="a", model="m", dataset=tmp_path / "rows.jsonl").to_dict())
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript(FIRST_VERSION)
        database.execute(
            "INSERT INTO jobs (id, state, plan, created_at, error) VALUES (?, ?, ?, ?, ?)",
            ("old", "failed", plan, "2026-01-01T00:00:00+00:00", '{"code": "out-of-memory"}'),
        )
        database.execute("INSERT INTO events (job_id, line) VALUES (?, ?)", ("old", NOTE))
    return path


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as database:
        return database.execute(query).fetchall()


def engine_of(path: Path) -> sql.Engine:
    return sql.create_engine(sql.URL.create("sqlite", database=str(path)))


def test_a_database_of_the_first_version_is_read(old: Path) -> None:
    store = Store(old)
    try:
        (job,) = store.jobs(State.FAILED)
        assert (job.id, job.plan.name, job.error) == ("old", "a", {"code": "out-of-memory"})
        ((_, event),) = store.events("old")
        assert isinstance(event, Note)
    finally:
        store.close()


def test_a_step_of_a_later_version_changes_the_tables_that_are_there_and_keeps_their_rows(old: Path) -> None:
    for _ in range(2):  # and is taken once
        bring_up(engine_of(old), LATER)
        assert rows(old, "SELECT id, state, note FROM jobs") == [("old", "failed", "OLD")]
        assert rows(old, "PRAGMA user_version") == [(len(LATER),)]


def test_a_new_database_and_one_that_was_brought_up_have_the_same_tables(old: Path, tmp_path: Path) -> None:
    bring_up(engine_of(old))
    bring_up(engine_of(tmp_path / "new.sqlite3"))
    for table in ("jobs", "events"):
        for pragma in ("table_info", "index_list", "foreign_key_list"):
            query = f"PRAGMA {pragma}({table})"
            assert rows(old, query) == rows(tmp_path / "new.sqlite3", query)


def test_a_step_that_fails_changes_nothing(old: Path) -> None:
    broken = (*STEPS, ("ALTER TABLE jobs ADD COLUMN note VARCHAR", "UPDATE nothing SET x = 1"))
    with pytest.raises(sql.exc.OperationalError):
        bring_up(engine_of(old), broken)
    assert rows(old, "PRAGMA user_version") == [(1,)]
    assert "note" not in [column[1] for column in rows(old, "PRAGMA table_info(jobs)")]


def test_a_file_that_is_no_database_is_named_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite3"
    path.write_bytes(b"something else" * 1000)
    with pytest.raises(JobsDamaged) as damaged:
        Store(path)
    assert str(path) in damaged.value.message
    assert "move jobs.sqlite3" in damaged.value.remedy


def test_a_page_that_was_overwritten_is_damage_too(old: Path) -> None:
    size = rows(old, "PRAGMA page_size")[0][0]
    assert isinstance(size, int)
    with old.open("rb+") as file:
        file.seek(size)  # the first page of a table
        file.write(b"\xff" * size)
    store = Store(old)
    try:
        with pytest.raises(JobsDamaged):
            store.jobs()
    finally:
        store.close()


def test_a_database_that_cannot_be_opened_is_not_called_damaged(tmp_path: Path) -> None:
    (tmp_path / "jobs.sqlite3").mkdir()
    with pytest.raises(JobsNotKept):
        Store(tmp_path / "jobs.sqlite3")


def test_a_damaged_database_gives_the_same_answer_each_time_and_a_new_one_once_it_is_away(tmp_path: Path) -> None:
    (tmp_path / "jobs.sqlite3").write_bytes(b"something else" * 1000)
    with running_backend(Path(sys.executable), tmp_path) as backend:
        answers = [backend.get("/api/training/list") for _ in range(3)]
        assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(409, "jobs-damaged")] * 3
        (tmp_path / "jobs.sqlite3").unlink()
        assert backend.get("/api/training/list").json() == {"jobs": []}
