"""One job at a time: takes the oldest queued job, follows its worker, and keeps what it tells."""

from __future__ import annotations

import asyncio
import logging
import os
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from backend import host
from backend.clock import now
from backend.errors import JobEnded, JobsElsewhere, JobsTooNew
from backend.jobs.job import Job
from backend.states import State
from backend.training.events import Changed, Event, Failed, Saved, from_line
from backend.training.process import LOG_NAME, WorkerFailed, WorkerNotStarted, start_worker

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Iterator

    from backend.errors import BackendError
    from backend.folders import Folders
    from backend.jobs.store import Store
    from backend.training.plan import TrainingPlan

log = logging.getLogger(__name__)


@dataclass
class Run:
    """The job at work. `process` is None until it has started; `asked` is the state that it was asked to end in."""

    job_id: str
    process: Process | None = None
    adapter: str | None = None
    failure: Failed | None = None
    asked: State | None = None

    def ask(self, state: State) -> None:
        """Ask the worker to stop, so that the job ends in `state`."""
        self.asked = self.asked or state
        if self.process is not None and self.process.returncode is None:
            self.process.terminate()

    def kill(self) -> None:
        """End the worker at once, and whatever it started."""
        if self.process is not None and self.process.returncode is None:
            host.kill_group(self.process.pid)


class Queue:
    """The jobs of one data folder. Opened by its first use, since its database is slow to import."""

    def __init__(self, folders: Folders, grace_seconds: float) -> None:
        self._folders = folders
        self._grace_seconds = grace_seconds
        self._opening = asyncio.Lock()
        self._choosing = asyncio.Lock()  # a job is picked, stopped or added, one at a time
        self._store: Store | None = None
        self._locked: IO[bytes] | None = None
        self._arrived = asyncio.Event()
        self._closing = False
        self._runner: asyncio.Task[None] | None = None
        self._run: Run | None = None
        self._followers: dict[str, set[asyncio.Queue[tuple[int, Event]]]] = {}

    async def open(self) -> Store:
        """Return the store; the first call takes up what an earlier backend left.

        Raises JobsElsewhere, JobsTooNew.
        """
        async with self._opening:
            if self._store is None:
                self._store = await asyncio.to_thread(self._take_over)
                self._runner = asyncio.create_task(self._run_jobs(self._store))
                self._runner.add_done_callback(_log_failure)
            return self._store

    async def open_if_used_before(self) -> None:
        """Take up the jobs that an earlier backend left, if there ever was one."""
        if self._folders.store.exists():
            try:
                await self.open()
            except (JobsElsewhere, JobsTooNew) as error:  # the routes of jobs will say so to whoever asks
                log.warning("%s. %s", error.message, error.remedy)

    async def close(self) -> None:
        """Stop the running job, which gets its grace period, and close the store. Queued jobs stay queued."""
        self._closing = True
        self._arrived.set()
        if self._run is not None:
            self._run.ask(State.INTERRUPTED)
        if self._runner is not None:
            try:
                await asyncio.wait_for(asyncio.shield(self._runner), self._grace_seconds)
            except TimeoutError:
                if self._run is not None:
                    self._run.kill()
                await self._runner
        if self._store is not None:
            self._store.close()
        if self._locked is not None:
            self._locked.close()

    async def submit(self, plan: TrainingPlan) -> tuple[Job, bool]:
        """Add a job; return it, and whether it starts at once rather than after others."""
        store = await self.open()
        job = Job(id=uuid.uuid4().hex[:12], state=State.QUEUED, plan=plan, created_at=now())
        async with self._choosing:
            at_once = self._run is None and not await asyncio.to_thread(store.jobs, State.QUEUED)
            await asyncio.to_thread(store.add, job)
        self._arrived.set()
        return job, at_once

    async def stop(self, job_id: str) -> Job:
        """Stop a job: a queued one at once, a running one after its step. Raises JobUnknown, JobEnded."""
        store = await self.open()
        async with self._choosing:
            job = await asyncio.to_thread(store.job, job_id)
            if job.state.ended:
                raise JobEnded(job_id, job.state)
            if self._run is None or self._run.job_id != job_id:
                return await self._change(store, job_id, State.STOPPED, ended_at=now())
            self._run.ask(State.STOPPED)
            return job

    async def jobs(self) -> list[Job]:
        """Return every job, in the order of arrival."""
        store = await self.open()
        return await asyncio.to_thread(store.jobs)

    async def job(self, job_id: str) -> Job:
        """Return one job. Raises JobUnknown."""
        store = await self.open()
        return await asyncio.to_thread(store.job, job_id)

    async def events(self, job_id: str) -> list[tuple[int, Event]]:
        """Return what a job has told so far, each event with its number."""
        store = await self.open()
        return await asyncio.to_thread(store.events, job_id)

    @contextmanager
    def follow(self, job_id: str) -> Iterator[asyncio.Queue[tuple[int, Event]]]:
        """Give a queue that receives what the job tells from now on."""
        arriving: asyncio.Queue[tuple[int, Event]] = asyncio.Queue()
        followers = self._followers.setdefault(job_id, set())
        followers.add(arriving)
        try:
            yield arriving
        finally:
            followers.discard(arriving)

    def _take_over(self) -> Store:
        from backend.jobs.store import Store

        self._locked = host.lock(self._folders.jobs_lock)
        if self._locked is None:
            raise JobsElsewhere(self._folders.root)
        try:
            store = Store(self._folders.store)
        except JobsTooNew:
            self._locked.close()
            raise
        for job in store.jobs(State.RUNNING):  # its worker died with the backend that this lock was freed by
            store.update(job.id, state=State.INTERRUPTED.value, ended_at=now())
            store.append(job.id, Changed(time=now(), state=State.INTERRUPTED))
        return store

    async def _run_jobs(self, store: Store) -> None:
        while not self._closing:
            self._arrived.clear()
            async with self._choosing:
                waiting = await asyncio.to_thread(store.jobs, State.QUEUED)
                if waiting:
                    self._run = Run(waiting[0].id)
                    await self._change(store, waiting[0].id, State.RUNNING, started_at=now())
            if self._run is None:
                await self._arrived.wait()
                continue
            state, error = await self._train(store, waiting[0], self._run)
            async with self._choosing:
                await self._change(
                    store,
                    self._run.job_id,
                    state,
                    ended_at=now(),
                    adapter_path=self._run.adapter,
                    error=error.to_dict() if error else None,
                )
                self._run = None

    async def _train(self, store: Store, job: Job, run: Run) -> tuple[State, BackendError | None]:
        """Run the job's worker to its end; return the state that it ended in, and its error if it failed."""
        folder = self._folders.job(job.id)
        try:
            run.process = await start_worker(job.plan, folder, self._folders.adapter(job.id), parent=os.getpid())
        except OSError as error:
            return State.FAILED, WorkerNotStarted(error, folder)
        if self._closing:
            run.ask(State.INTERRUPTED)
        if run.asked is not None:  # while the process was being made, so that there is nothing to save yet
            run.kill()
        assert run.process.stdout is not None
        ending = asyncio.create_task(_end(run.process))
        async for line in run.process.stdout:
            event = from_line(line)
            if isinstance(event, Saved):
                run.adapter = event.adapter
            elif isinstance(event, Failed):
                run.failure = event
            await self._tell(store, job.id, event)
        status = await ending
        state = outcome(status, saved=run.adapter is not None, asked=run.asked)
        if state is not State.FAILED:
            return state, None
        failure = await asyncio.to_thread(WorkerFailed, status, folder / LOG_NAME, run.failure)
        log.error("job %s: %s", job.id, failure.message)
        return state, failure

    async def _change(self, store: Store, job_id: str, state: State, **changes: object) -> Job:
        job = await asyncio.to_thread(store.update, job_id, state=state.value, **changes)
        await self._tell(store, job_id, Changed(time=now(), state=state))
        return job

    async def _tell(self, store: Store, job_id: str, event: Event) -> None:
        number = await asyncio.to_thread(store.append, job_id, event)
        for arriving in self._followers.get(job_id, ()):
            arriving.put_nowait((number, event))


def outcome(status: int, *, saved: bool, asked: State | None) -> State:
    """Return the state in which a job ends, from its worker's exit status and what was asked of it."""
    if saved:
        return State.COMPLETED
    if asked is not None:
        return asked
    # Status 0 without an adapter: somebody else asked the worker to stop.
    return State.INTERRUPTED if status == 0 else State.FAILED


async def _end(worker: Process) -> int:
    """Wait until the worker ends, and leave nothing of its group behind; return its exit status."""
    status = await worker.wait()
    host.kill_group(worker.pid)  # a child of the worker's would also keep its end of our pipe open
    return status


def _log_failure(runner: asyncio.Task[None]) -> None:
    if not runner.cancelled() and (error := runner.exception()) is not None:
        log.critical("the queue of jobs has ended by a bug", exc_info=error)
