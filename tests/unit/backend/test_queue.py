"""The queue of jobs with a worker that never ends by itself, and one that cannot be started."""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import psutil
import pytest

from backend.clock import now
from backend.folders import Folders
from backend.jobs.errors import JobBusy, JobEnded, JobUnknown
from backend.jobs.job import Job
from backend.jobs.queue import Queue
from backend.jobs.run import outcome
from backend.jobs.store import Store
from backend.states import State
from backend.training.plan import TrainingPlan
from tests.builders.backend import DEADLINE, wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands for the interpreter")


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have workers ignore SIGTERM and start a child; give the file that will hold the child's PID."""
    path = tmp_path / "child"
    deaf = tmp_path / "deaf"
    deaf.write_text(f"#!/bin/sh\ntrap '' TERM\nsleep 1000 &\necho $! > '{path}.new'\nmv '{path}.new' '{path}'\nwait\n")
    deaf.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(deaf))
    return path


@asynccontextmanager
async def open_queue(folder: Path, *, resumes: bool = False) -> AsyncIterator[Queue]:
    """Give a queue with next to no grace."""
    queue = Queue(Folders(folder), lambda: True, lambda: resumes, grace_seconds=0.2)
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


def is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


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
            with queue.watch() as changing:
                await queue.resume("interrupted")
                while (await changing.get()).state is not State.COMPLETED:
                    pass
            return await queue.jobs()

    jobs = asyncio.run(open_and_resume())
    assert [job.state for job in jobs] == [State.COMPLETED, State.COMPLETED]
    assert [job.adapter_path for job in jobs] == [str(tmp_path / "adapters" / job.id) for job in jobs]


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
            with queue.follow(job.id) as arriving:
                while not (job := await queue.job(job.id)).state.ended:
                    await arriving.get()
            assert job.error is not None
            return str(job.error["code"])

    assert asyncio.run(run()) == "training-not-started"
    assert states(tmp_path) == [State.FAILED]


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
