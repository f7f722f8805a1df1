"""The queue of jobs with a worker that never ends by itself, and one that cannot be started."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from backend.clock import now
from backend.estimates import MIB
from backend.folders import Folders
from backend.hardware import NOTHING, Held
from backend.jobs import queue as queue_module
from backend.jobs.errors import JobBusy, JobEnded, JobUnknown
from backend.jobs.job import Job
from backend.jobs.queue import OVERDUE, Queue
from backend.jobs.run import outcome
from backend.jobs.store import Store
from backend.states import State
from backend.training.events import Note, Progress, to_line
from backend.training.plan import TrainingPlan
from tests.builders.backend import DEADLINE, wait_until
from tests.builders.events import STEP
from tests.builders.processes import is_gone

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands for the interpreter")


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have workers ignore what they are asked and start a child; give the file that will hold the child's PID."""
    path = tmp_path / "child"
    deaf = tmp_path / "deaf"
    deaf.write_text(f"#!/bin/sh\ntrap '' TERM\nsleep 1000 &\necho $! > '{path}.new'\nmv '{path}.new' '{path}'\nwait\n")
    deaf.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(deaf))
    return path


@asynccontextmanager
async def open_queue(folder: Path, *, resumes: bool = False, grace_seconds: float = 0.2) -> AsyncIterator[Queue]:
    """Give a queue with next to no grace."""
    queue = Queue(Folders(folder), lambda: True, lambda: resumes, grace_seconds)
    async with asyncio.timeout(DEADLINE):
        try:
            yield queue
        finally:
            await queue.close()


def plan_in(folder: Path) -> TrainingPlan:
    return TrainingPlan(name="test", model=str(folder), dataset=folder / "rows.jsonl")


def states(folder: Path) -> list[State]:
    store = Store(Folders(folder).store)
    try:
        return [job.state for job in store.jobs()]
    finally:
        store.close()


def test_a_worker_that_does_not_stop_is_killed_with_its_children(tmp_path: Path, child: Path) -> None:
    async def start_and_close() -> None:
        async with open_queue(tmp_path) as queue:
            await queue.submit(plan_in(tmp_path))
            await asyncio.to_thread(wait_until, child.exists, "the worker has a child")

    asyncio.run(start_and_close())
    assert states(tmp_path) == [State.INTERRUPTED]
    wait_until(lambda: is_gone(int(child.read_text())), "the child is gone")


@pytest.mark.usefixtures("child")
def test_one_job_runs_and_the_others_wait_for_the_next_start(tmp_path: Path) -> None:
    async def submit_three() -> list[bool]:
        async with open_queue(tmp_path) as queue:
            return [(await queue.submit(plan_in(tmp_path)))[1] for _ in range(3)]

    assert asyncio.run(submit_three()) == [True, False, False]
    assert states(tmp_path) == [State.INTERRUPTED, State.QUEUED, State.QUEUED]


@pytest.mark.usefixtures("child")
def test_a_waiting_job_stops_at_once_and_only_once(tmp_path: Path) -> None:
    async def stop_the_second() -> None:
        async with open_queue(tmp_path) as queue:
            await queue.submit(plan_in(tmp_path))
            waiting, _ = await queue.submit(plan_in(tmp_path))
            assert (await queue.stop(waiting.id)).state is State.STOPPED
            with pytest.raises(JobEnded):
                await queue.stop(waiting.id)

    asyncio.run(stop_the_second())
    assert states(tmp_path) == [State.INTERRUPTED, State.STOPPED]


@pytest.mark.usefixtures("child")
def test_a_paused_job_waits_until_it_is_resumed_and_then_goes_first(tmp_path: Path) -> None:
    async def pause_and_resume() -> None:
        async with open_queue(tmp_path) as queue:
            await queue.submit(plan_in(tmp_path))
            second, _ = await queue.submit(plan_in(tmp_path))
            assert (await queue.pause(second.id)).state is State.PAUSED
            resumed = await queue.resume(second.id)
            assert (resumed.state, resumed.ended_at) == (State.QUEUED, None)
            assert queue.waits_for(resumed) == "jobs"
            assert (await queue.resume(second.id)).state is State.QUEUED

    asyncio.run(pause_and_resume())
    assert states(tmp_path) == [State.INTERRUPTED, State.QUEUED]


def test_an_interrupted_job_goes_on_by_itself_if_the_settings_say_so(tmp_path: Path, child: Path) -> None:
    async def start_and_close() -> None:
        async with open_queue(tmp_path) as queue:
            await queue.submit(plan_in(tmp_path))
            await asyncio.to_thread(wait_until, child.exists, "the worker has a child")

    async def open_and_ask(*, resumes: bool) -> State:
        async with open_queue(tmp_path, resumes=resumes) as queue:
            (job,) = await queue.jobs()
            return job.state

    asyncio.run(start_and_close())
    assert asyncio.run(open_and_ask(resumes=False)) is State.INTERRUPTED
    assert asyncio.run(open_and_ask(resumes=True)) in {State.QUEUED, State.RUNNING}


def test_a_job_whose_adapter_was_saved_as_the_backend_died_is_completed(tmp_path: Path) -> None:
    store = Store(Folders(tmp_path).store)
    for state in (State.RUNNING, State.INTERRUPTED):  # of this backend's, and as an earlier one left it
        store.add(Job(id=state.value, state=state, plan=plan_in(tmp_path), created_at=now()))
        Folders(tmp_path).adapter(state.value).mkdir(parents=True)
    store.close()

    async def open_and_resume() -> list[Job]:
        async with open_queue(tmp_path) as queue:
            with queue.listeners.watch() as changing:
                await queue.resume("interrupted")
                while (await changing.get()).state is not State.COMPLETED:
                    pass
            return await queue.jobs()

    jobs = asyncio.run(open_and_resume())
    assert [job.state for job in jobs] == [State.COMPLETED, State.COMPLETED]
    assert [job.adapter_path for job in jobs] == [str(tmp_path / "adapters" / job.id) for job in jobs]


def test_a_worker_that_does_not_hear_a_stop_is_killed_and_the_next_job_runs(tmp_path: Path, child: Path) -> None:
    async def stop_the_first() -> tuple[list[State], list[str]]:
        async with open_queue(tmp_path) as queue:
            first, _ = await queue.submit(plan_in(tmp_path))
            second, _ = await queue.submit(plan_in(tmp_path))
            await asyncio.to_thread(wait_until, child.exists, "the worker has a child")
            with queue.listeners.watch() as changing:
                await queue.stop(first.id)
                while (await changing.get()).id != second.id:
                    pass
            told = [event.message for _, event in await queue.events(first.id) if isinstance(event, Note)]
            return [job.state for job in await queue.jobs()], told

    assert asyncio.run(stop_the_first()) == ([State.STOPPED, State.RUNNING], [OVERDUE])


@pytest.mark.parametrize(
    ("wishes", "state"),
    [
        (("pause", "stop"), State.STOPPED),
        (("stop", "pause"), State.PAUSED),
        (("pause", "resume"), State.QUEUED),
        (("pause", "resume", "stop"), State.STOPPED),
    ],
)
def test_of_several_wishes_the_last_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wishes: tuple[str, ...], state: State
) -> None:
    begun, end, worker = (tmp_path / name for name in ("begun", "end", "worker"))
    worker.write_text(f"#!/bin/sh\n: > '{begun}'\nuntil [ -e '{end}' ]; do sleep 0.01; done\n")
    worker.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(worker))

    async def wish() -> State:
        async with open_queue(tmp_path, grace_seconds=DEADLINE) as queue:
            job, _ = await queue.submit(plan_in(tmp_path))
            await asyncio.to_thread(wait_until, begun.exists, "the worker has begun")
            with queue.listeners.watch() as changing:
                for name in wishes:
                    await getattr(queue, name)(job.id)
                end.touch()
                return (await changing.get()).state

    assert asyncio.run(wish()) is state


def test_what_was_wished_holds_when_the_backend_stops_meanwhile(tmp_path: Path, child: Path) -> None:
    async def pause_and_close() -> None:
        async with open_queue(tmp_path) as queue:
            job, _ = await queue.submit(plan_in(tmp_path))
            await asyncio.to_thread(wait_until, child.exists, "the worker has a child")
            await queue.pause(job.id)

    asyncio.run(pause_and_close())
    assert states(tmp_path) == [State.PAUSED]


def test_what_was_saved_or_removed_by_half_when_the_backend_died_is_gone_at_the_next_start(tmp_path: Path) -> None:
    adapters = Folders(tmp_path).adapters
    for name in (".a1.partial", "a2.partial", ".a3.0123abcd.leaving", "whole"):
        (adapters / name).mkdir(parents=True)
        (adapters / name / "adapter_config.json").write_text("{}")

    async def open_only() -> None:
        async with open_queue(tmp_path) as queue:
            await queue.open()

    asyncio.run(open_only())
    assert [path.name for path in adapters.iterdir()] == ["whole"]


@pytest.mark.usefixtures("child")
def test_only_a_job_that_does_not_run_can_be_deleted(tmp_path: Path) -> None:
    async def delete() -> None:
        async with open_queue(tmp_path) as queue:
            first, _ = await queue.submit(plan_in(tmp_path))
            second, _ = await queue.submit(plan_in(tmp_path))
            for running_or_queued in (first, second):
                with pytest.raises(JobBusy):
                    await queue.delete(running_or_queued.id)
            await queue.pause(second.id)
            await queue.delete(second.id)
            with pytest.raises(JobUnknown):
                await queue.job(second.id)

    asyncio.run(delete())
    assert states(tmp_path) == [State.INTERRUPTED]


@pytest.mark.parametrize("how", ["no program", "no folder"])
def test_a_worker_that_cannot_be_started_fails_its_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    if how == "no program":
        monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    else:
        (tmp_path / "jobs").write_text("in the way")

    async def run() -> str:
        async with open_queue(tmp_path) as queue:
            job, _ = await queue.submit(plan_in(tmp_path))
            with queue.listeners.follow(job.id) as arriving:
                while not (job := await queue.job(job.id)).state.ended:
                    await arriving.get()
            assert job.error is not None
            return str(job.error["code"])

    assert asyncio.run(run()) == "training-not-started"
    assert states(tmp_path) == [State.FAILED]


@contextmanager
def full_disk(folder: Path, *, only: str = "") -> Iterator[None]:
    """Have the database of jobs refuse what is told of a job, as it does on a full disk; `only` events that say so."""
    database = sqlite3.connect(Folders(folder).store)
    with closing(database):
        database.executescript(
            f"CREATE TRIGGER full BEFORE INSERT ON events WHEN NEW.line LIKE '%{only}%' "
            "BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
        )
        yield
        database.executescript("DROP TRIGGER full")


def test_a_worker_that_cannot_be_kept_account_of_fails_its_job_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = to_line(Note(time=now(), level="INFO", message="too much"))
    worker = tmp_path / "worker"
    worker.write_text(f"#!/bin/sh\nmkdir '{tmp_path / 'first'}' && echo '{note}'\nsleep 1000\n")
    worker.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(worker))

    async def run() -> list[Job]:
        async with open_queue(tmp_path) as queue:
            await queue.open()
            with queue.listeners.watch() as changing, full_disk(tmp_path, only="too much"):
                jobs = [(await queue.submit(plan_in(tmp_path)))[0] for _ in range(2)]
                while (await changing.get()).id != jobs[1].id:
                    pass
                return await queue.jobs()

    first, second = asyncio.run(run())
    assert (first.state, second.state) == (State.FAILED, State.RUNNING)
    assert first.error is not None
    assert first.error["code"] == "jobs-not-kept"
    assert "disk is full" in first.error["message"]


def test_a_worker_that_is_killed_over_a_line_has_told_those_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = [to_line(Note(time=now(), level="INFO", message=str(number))) for number in range(3)]
    worker = tmp_path / "worker"
    worker.write_text(f"#!/bin/sh\nprintf '{notes[0]}\n{notes[1]}\n{notes[2][:-5]}'\nkill -KILL $$\n")
    worker.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(worker))

    async def run() -> tuple[Job, list[str]]:
        async with open_queue(tmp_path) as queue:
            await queue.open()
            with queue.listeners.watch() as changing:
                job, _ = await queue.submit(plan_in(tmp_path))
                while not (job := await changing.get()).state.ended:
                    pass
            return job, [event.message for _, event in await queue.events(job.id) if isinstance(event, Note)]

    job, told = asyncio.run(run())
    assert (job.state, told) == (State.INTERRUPTED, ["0", "1"])


@pytest.mark.parametrize(
    ("told", "held"),
    [
        (replace(STEP, ram=600 * MIB), Held(memory_mb=600, processes=1)),
        (replace(STEP, ram=600 * MIB, gpu_memory=900 * MIB), Held(memory_mb=900, processes=1)),
    ],
)
def test_what_a_worker_holds_is_known_as_long_as_it_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: Progress, held: Held
) -> None:
    worker = tmp_path / "worker"
    worker.write_text(f"#!/bin/sh\necho '{to_line(told)}'\nread stop\n")
    worker.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(worker))

    async def run() -> tuple[Held, Held]:
        async with open_queue(tmp_path) as queue:
            job, _ = await queue.submit(plan_in(tmp_path))
            await asyncio.to_thread(wait_until, lambda: queue.held != NOTHING, "the worker has told of a step")
            at_work = queue.held
            with queue.listeners.watch() as changing:
                await queue.stop(job.id)
                while not (await changing.get()).state.ended:
                    pass
            return at_work, queue.held

    assert asyncio.run(run()) == (held, NOTHING)


def test_a_job_that_ends_on_a_full_disk_is_written_down_once_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(queue_module, "STORE_SECONDS", 0.01)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))

    async def run() -> list[State]:
        async with open_queue(tmp_path) as queue:
            await queue.open()
            with queue.listeners.watch() as changing:
                with full_disk(tmp_path, only="failed"):
                    for _ in range(2):
                        await queue.submit(plan_in(tmp_path))
                    await asyncio.to_thread(wait_until, lambda: "disk is full" in caplog.text, "it was said")
                    before = [job.state for job in await queue.jobs()]
                while not all(job.state.ended for job in await queue.jobs()):
                    await changing.get()
            return [*before, *(job.state for job in await queue.jobs())]

    assert asyncio.run(run()) == [State.RUNNING, State.QUEUED, State.FAILED, State.FAILED]


@pytest.mark.parametrize(
    ("status", "saved", "asked", "state"),
    [
        (0, True, None, State.COMPLETED),
        (0, True, State.STOPPED, State.COMPLETED),  # it was done before it heard
        (0, False, State.STOPPED, State.STOPPED),
        (0, False, State.INTERRUPTED, State.INTERRUPTED),
        (-9, False, State.INTERRUPTED, State.INTERRUPTED),
        (0, False, None, State.INTERRUPTED),
        (1, False, None, State.FAILED),
        (-9, False, None, State.INTERRUPTED),
    ],
)
def test_the_state_that_a_job_ends_in(status: int, *, saved: bool, asked: State | None, state: State) -> None:
    assert outcome(status, saved=saved, asked=asked) is state
