"""Jobs and what they told, in SQLite. Imports sqlalchemy, which is slow to import."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sql

from backend.clock import now
from backend.jobs.errors import JobsDamaged, JobsNotKept, JobsTooNew, JobUnknown
from backend.jobs.job import Job
from backend.jobs.schema import STEPS, bring_up, version_of
from backend.states import State
from backend.training.events import Changed, Event, from_line, to_line
from backend.training.plan import TrainingPlan

if TYPE_CHECKING:
    from collections.abc import Iterator

DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB")  # SQLite's own names of errors begin so
DATA_FOLDER = "{data}"  # stands for the data folder in the paths below it, which hold wherever that is moved

_jobs = sql.table(
    "jobs",
    sql.column("number"),  # the order of arrival
    sql.column("id"),
    sql.column("state"),
    sql.column("plan", sql.JSON),
    sql.column("created_at"),
    sql.column("started_at"),
    sql.column("ended_at"),
    sql.column("adapter_path"),
    sql.column("error", sql.JSON(none_as_null=True)),
)
_events = sql.table("events", sql.column("number"), sql.column("job_id"), sql.column("line"))
_keep = _events.insert()  # made once: sqlalchemy compiles a statement that it knows no more


class Store:
    """The database of jobs in a data folder; each method is one transaction, and may be called from any thread.

    Any of them raises JobsDamaged, and JobsNotKept.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._folder = path.parent
        self._engine = sql.create_engine(sql.URL.create("sqlite", database=str(path)))
        sql.event.listen(self._engine, "connect", _configure)
        with self._transaction() as connection:
            found = version_of(connection)
        if found > len(STEPS):
            self.close()
            raise JobsTooNew(path, found, len(STEPS))
        with self._errors():
            bring_up(self._engine)

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def add(self, job: Job) -> None:
        """Add a new job."""
        row = {
            "id": job.id,
            "state": job.state.value,
            "plan": {name: self._kept(value) for name, value in job.plan.to_dict().items()},
            "created_at": job.created_at,
        }
        with self._transaction() as connection:
            connection.execute(_jobs.insert().values(row))

    def change(self, job_id: str, state: State, **changes: Any) -> tuple[Job, int, Changed]:
        """Put a job into a state, and change other fields of it; return it, and the event that says so, numbered."""
        kept = {name: self._kept(value) for name, value in changes.items()}
        event = Changed(time=now(), state=state)
        with self._transaction() as connection:
            connection.execute(_jobs.update().where(_jobs.c.id == job_id).values(state=state.value, **kept))
            return self._find(connection, job_id), _append(connection, job_id, event), event

    def delete(self, job_id: str) -> None:
        """Remove a job and all that it told."""
        with self._transaction() as connection:
            connection.execute(_jobs.delete().where(_jobs.c.id == job_id))

    def job(self, job_id: str) -> Job:
        """Return one job. Raises JobUnknown."""
        with self._transaction() as connection:
            return self._find(connection, job_id)

    def jobs(self, state: State | None = None) -> list[Job]:
        """Return the jobs in a state (None: all), in the order of their arrival."""
        query = _jobs.select().order_by(_jobs.c.number)
        if state is not None:
            query = query.where(_jobs.c.state == state.value)
        with self._transaction() as connection:
            return [self._job(row) for row in connection.execute(query)]

    def append(self, job_id: str, events: list[Event]) -> list[int]:
        """Keep what a job told; return the number of each event, which grow."""
        with self._transaction() as connection:
            return [_append(connection, job_id, event) for event in events]

    def events(self, job_id: str) -> list[tuple[int, Event]]:
        """Return all that a job told, oldest first, each with its number."""
        query = sql.select(_events.c.number, _events.c.line).where(_events.c.job_id == job_id)
        with self._transaction() as connection:
            rows = connection.execute(query.order_by(_events.c.number)).all()
        return [(number, from_line(line)) for number, line in rows]

    @contextmanager
    def _transaction(self) -> Iterator[sql.Connection]:
        with self._errors(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sql.exc.DatabaseError as error:
            name = str(getattr(error.orig, "sqlite_errorname", ""))
            kind = JobsDamaged if name.startswith(DAMAGED) else JobsNotKept
            raise kind(self._path, str(error.orig)) from error

    def _find(self, connection: sql.Connection, job_id: str) -> Job:
        row = connection.execute(_jobs.select().where(_jobs.c.id == job_id)).one_or_none()
        if row is None:
            raise JobUnknown(job_id)
        return self._job(row)

    def _job(self, row: sql.Row[Any]) -> Job:
        return Job(
            id=row.id,
            state=State(row.state),
            plan=TrainingPlan.from_dict({name: self._found(value) for name, value in row.plan.items()}),
            created_at=row.created_at,
            started_at=row.started_at,
            ended_at=row.ended_at,
            adapter_path=self._found(row.adapter_path),
            error=row.error,
        )

    def _kept(self, value: Any) -> Any:
        """Return a value as it is kept: a path below the data folder by its place there."""
        if isinstance(value, str) and Path(value).is_relative_to(self._folder):
            return Path(DATA_FOLDER, Path(value).relative_to(self._folder)).as_posix()
        return value

    def _found(self, value: Any) -> Any:
        """Return what `_kept` kept."""
        if isinstance(value, str) and value.startswith(f"{DATA_FOLDER}/"):
            return str(self._folder / value.removeprefix(f"{DATA_FOLDER}/"))
        return value


def _append(connection: sql.Connection, job_id: str, event: Event) -> int:
    done = connection.execute(_keep, {"job_id": job_id, "line": to_line(event)})
    return int(done.lastrowid)


def _configure(connection: Any, _record: object) -> None:
    # Readers do not wait for the writer; a power cut may cost the last moments, never the file.
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON", "busy_timeout = 5000"):
        connection.execute(f"PRAGMA {pragma}")
