"""How the tables of the jobs' database came to be, step by step.

A step that was released is never changed: a database of that version has been through it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import sqlalchemy as sql

# Statements that lead from each version to the next; a database's own version counts the steps that it has behind it.
STEPS: tuple[tuple[str, ...], ...] = (
    (
        """
        CREATE TABLE jobs (
            number INTEGER NOT NULL PRIMARY KEY,
            id VARCHAR NOT NULL UNIQUE,
            state VARCHAR NOT NULL,
            plan JSON NOT NULL,
            created_at VARCHAR NOT NULL,
            started_at VARCHAR,
            ended_at VARCHAR,
            adapter_path VARCHAR,
            error JSON
        )
        """,
        "CREATE INDEX ix_jobs_state ON jobs (state)",
        """
        CREATE TABLE events (
            number INTEGER NOT NULL PRIMARY KEY,
            job_id VARCHAR NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
            line VARCHAR NOT NULL
        )
        """,
        "CREATE INDEX ix_events_job_id ON events (job_id)",
    ),
)


def version_of(connection: sql.Connection) -> int:
    """Return how many steps a database has behind it."""
    version: int = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    return version


def bring_up(engine: sql.Engine, steps: Sequence[Sequence[str]] = STEPS) -> None:
    """Take the steps that a database has not behind it, each of them whole or not at all."""
    with engine.connect() as connection:
        found = version_of(connection)
        connection.rollback()
        for version, statements in enumerate(steps[found:], start=found + 1):
            with connection.begin():
                connection.exec_driver_sql("BEGIN IMMEDIATE")  # Python's sqlite3 begins none before it makes tables
                for statement in statements:
                    connection.exec_driver_sql(statement)
                connection.exec_driver_sql(f"PRAGMA user_version = {version}")
