"""Jobs and what they told, in SQLite. The only module that imports sqlalchemy, which is slow to import."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sql

from backend.jobs.errors import JobsTooNew, JobUnknown
from backend.jobs.job import Job
from backend.states import State
from backend.training.events import Event, from_line, to_line
from backend.training.plan import TrainingPlan

SCHEMA = 1
DATA_FOLDER = "{data}"  # stands for the data folder in the paths below it, which hold wherever that is moved

_tables = sql.MetaData()
_jobs = sql.Table(
    "jobs",
    _tables,
    sql.Column("number", sql.Integer, primary_key=True, autoincrement=True),  # the order of arrival
    sql.Column("id", sql.String, nullable=False, unique=True),
    sql.Column("state", sql.String, nullable=False, index=True),
    sql.Column("plan", sql.JSON, nullable=False),
    sql.Column("created_at", sql.String, nullable=False),
    sql.Column("started_at", sql.String),
    sql.Column("ended_at", sql.String),
    sql.Column("adapter_path", sql.String),
    sql.Column("error", sql.JSON(none_as_null=True)),
)
_events = sql.Table(
    "events",
    _tables,
    sql.Column("number", sql.Integer, primary_key=True, autoincrement=True),
    sql.Column("job_id", sql.ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False, index=True),
    sql.Column("line", sql.String, nullable=False),
)


class Store:
    """The database of jobs in a data folder; each method is one transaction, and may be called from any thread."""

    def __init__(self, path: Path) -> None:
        self._folder = path.parent
        self._engine = sql.create_engine(sql.URL.create("sqlite", database=str(path)))
        sql.event.listen(self._engine, "connect", _configure)
        with self._engine.begin() as connection:
            found: int = connection.execute(sql.text("PRAGMA user_version")).scalar_one()
            if found > SCHEMA:
                raise JobsTooNew(path, found, SCHEMA)
            if found < SCHEMA:
                _tables.create_all(connection)
                connection.execute(sql.text(f"PRAGMA user_version = {SCHEMA}"))

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
        with self._engine.begin() as connection:
            connection.execute(_jobs.insert().values(row))

    def update(self, job_id: str, **changes: Any) -> Job:
        """Change some of a job's fields; return the job as it is now."""
        changes = {name: self._kept(value) for name, value in changes.items()}
        with self._engine.begin() as connection:
            connection.execute(_jobs.update().where(_jobs.c.id == job_id).values(**changes))
        return self.job(job_id)

    def delete(self, job_id: str) -> None:
        """Remove a job and all that it told."""
        with self._engine.begin() as connection:
            connection.execute(_jobs.delete().where(_jobs.c.id == job_id))

    def job(self, job_id: str) -> Job:
        """Return one job. Raises JobUnknown."""
        with self._engine.connect() as connection:
            row = connection.execute(_jobs.select().where(_jobs.c.id == job_id)).one_or_none()
        if row is None:
            raise JobUnknown(job_id)
        return self._job(row)

    def jobs(self, state: State | None = None) -> list[Job]:
        """Return the jobs in a state (None: all), in the order of their arrival."""
        query = _jobs.select().order_by(_jobs.c.number)
        if state is not None:
            query = query.where(_jobs.c.state == state.value)
        with self._engine.connect() as connection:
            return [self._job(row) for row in connection.execute(query)]

    def append(self, job_id: str, event: Event) -> int:
        """Keep what a job told; return the event's number, which grows."""
        with self._engine.begin() as connection:
            result = connection.execute(_events.insert().values(job_id=job_id, line=to_line(event)))
            (number,) = result.inserted_primary_key or (0,)
        return int(number)

    def events(self, job_id: str) -> list[tuple[int, Event]]:
        """Return all that a job told, oldest first, each with its number."""
        query = sql.select(_events.c.number, _events.c.line).where(_events.c.job_id == job_id)
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(_events.c.number)).all()
        return [(number, from_line(line)) for number, line in rows]

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


def _configure(connection: Any, _record: object) -> None:
    # Readers do not wait for the writer; a power cut may cost the last moments, never the file.
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON", "busy_timeout = 5000"):
        connection.execute(f"PRAGMA {pragma}")
