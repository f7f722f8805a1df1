"""One job at a time: takes the oldest queued job, follows its worker, and keeps what it tells."""

from __future__ import annotations

import asyncio
import logging
import shutil
import uuid
from contextlib import suppress
from functools import partial
from typing import IO, TYPE_CHECKING

from backend.background import in_background
from backend.clock import now
from backend.errors import BackendError
from backend.hardware import NOTHING
from backend.jobs.errors import JobBusy, JobEnded, JobsUnavailable
from backend.jobs.job import Job
from backend.jobs.listeners import Listeners
from backend.jobs.opening import open_jobs
from backend.jobs.run import Run, outcome, saved_adapter
from backend.states import State
from backend.training.events import Event, Note
from backend.training.process import LOG_NAME, WorkerFailed, WorkerNotFollowed, WorkerNotStarted, start_worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from backend.folders import Folders
    from backend.hardware import Held
    from backend.jobs.job import WaitsFor
    from backend.jobs.store import Store
    from backend.training.plan import TrainingPlan

ENGINE_ARRIVING = "The rest of the engine is still arriving; the training starts when it is whole"
ENGINE_SECONDS = 1.0  # how often a waiting job looks whether the rest of the runtime has arrived
STORE_SECONDS = 1.0  # how often the queue looks whether its database can be written again
OVERDUE = "The training did not stop in time and was ended; once resumed, it goes on from its last checkpoint"

log = logging.getLogger(__name__)


class Queue:
    """The jobs of one data folder. Opened by its first use, since its database is slow to import."""

    def __init__(
        self,
        folders: Folders,
        engine_is_whole: Callable[[], bool],
        resumes_by_itself: Callable[[], bool],
        grace_seconds: float,
    ) -> None:
        self._folders = folders
        self._engine_is_whole = engine_is_whole
        self._resumes_by_itself = resumes_by_itself
        self._grace_seconds = grace_seconds
        self._opening = asyncio.Lock()
        self._choosing = asyncio.Lock()  # a job is picked, stopped or added, one at a time
        self._store: Store | None = None
        self._locked: IO[bytes] | None = None
        self._arrived = asyncio.Event()
        self._closing = asyncio.Event()
        self._runner: asyncio.Task[None] | None = None
        self._run: Run | None = None
        self.listeners = Listeners()

    async def open(self) -> Store:
        """Return the store; the first call takes up what an earlier backend left.

        Raises JobsUnavailable.
        """
        async with self._opening:
            if self._store is None:
                store, self._locked = await asyncio.to_thread(self._open)
                self._store = store
                self._runner = in_background(self._run_jobs(store), "the queue of jobs")
            return self._store

    async def open_if_used_before(self) -> None:
        """Take up the jobs that an earlier backend left, if there ever was one."""
        if self._folders.store.exists():
            try:
                await self.open()
            except JobsUnavailable as error:  # the routes of jobs will say so to whoever asks
                log.warning("%s. %s", error.message, error.remedy)

    async def close(self) -> None:
        """Stop the running job, which gets its grace period, and close the store. Queued jobs stay queued."""
        self._closing.set()
        self._arrived.set()
        if self._run is not None and self._run.asked is None:
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
            at_once = (
                self._run is None and self._engine_is_whole() and not await asyncio.to_thread(store.jobs, State.QUEUED)
            )
            await asyncio.to_thread(store.add, job)
        self._arrived.set()
        return job, at_once

    async def stop(self, job_id: str) -> Job:
        """Stop a job: a queued one at once, a running one after its step. Raises JobUnknown, JobEnded."""
        return await self._halt(job_id, State.STOPPED)

    async def pause(self, job_id: str) -> Job:
        """Stop a job for the time being, as `stop` does. Raises JobUnknown, JobEnded."""
        return await self._halt(job_id, State.PAUSED)

    async def resume(self, job_id: str) -> Job:
        """Queue a job again; its worker goes on from the last checkpoint. Raises JobUnknown, JobEnded if completed.

        One that still works on its way to a stop stops, and is queued again.
        """
        store = await self.open()
        async with self._choosing:
            job = await asyncio.to_thread(store.job, job_id)
            if job.state is State.COMPLETED:
                raise JobEnded(job_id, job.state)
            if self._run is not None and self._run.job.id == job_id and self._run.asked is not None:
                self._run.ask(State.QUEUED)
            if job.state.resumable:
                job = await self._change(store, job_id, State.QUEUED, ended_at=None, error=None)
        self._arrived.set()
        return job

    async def delete(self, job_id: str) -> None:
        """Forget a job, its log and its checkpoints; its adapter stays. Raises JobUnknown, JobBusy."""
        store = await self.open()
        async with self._choosing:
            job = await asyncio.to_thread(store.job, job_id)
            if not job.state.ended and job.state is not State.PAUSED:
                raise JobBusy(job_id, job.state)
            await asyncio.to_thread(store.delete, job_id)
            folder = self._folders.job(job_id)
            if folder.exists():
                await asyncio.to_thread(shutil.rmtree, folder)

    def waits_for(self, job: Job) -> WaitsFor | None:
        """Return what a job waits for: "engine", the jobs before it ("jobs"), or None if it does not wait."""
        if job.state is not State.QUEUED:
            return None
        return "jobs" if self._engine_is_whole() else "engine"

    @property
    def held(self) -> Held:
        """What the training at work gives back before the next begins."""
        return NOTHING if self._run is None else self._run.held

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

    def _open(self) -> tuple[Store, IO[bytes]]:
        return open_jobs(self._folders, resume=self._resumes_by_itself())

    async def _run_jobs(self, store: Store) -> None:
        while not self._closing.is_set():
            try:
                await self._run_next(store)
            except JobsUnavailable as error:  # the database's: no other job could be kept either
                log.warning("%s. %s", error.message, error.remedy)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._closing.wait(), STORE_SECONDS)

    async def _run_next(self, store: Store) -> None:
        """Run the next job to its end, or wait for one. Raises JobsUnavailable; the next call goes on from there."""
        if self._run is None:
            self._arrived.clear()
            await self._wait_for_engine(store)
            async with self._choosing:
                waiting = await asyncio.to_thread(store.jobs, State.QUEUED)
                if waiting and self._engine_is_whole():
                    await self._change(store, waiting[0].id, State.RUNNING, started_at=now())
                    self._run = Run(waiting[0], self._grace_seconds)
        if self._run is None:
            await self._arrived.wait()
            return
        if self._run.ended is None:
            self._run.ended = await self._supervise(store, self._run)
        async with self._choosing:
            state, error = self._run.ended
            await self._change(
                store,
                self._run.job.id,
                state,
                ended_at=None if state is State.QUEUED else now(),
                adapter_path=saved_adapter(self._folders, self._run.job.id),
                error=error.to_dict() if error else None,
            )
            self._run = None

    async def _supervise(self, store: Store, run: Run) -> tuple[State, BackendError | None]:
        """Train, and have whatever goes wrong end this job alone."""
        training = asyncio.create_task(self._train(store, run))
        await asyncio.wait({training})
        error = training.exception()
        if error is None:
            return training.result()
        log.critical("job %s: the queue could not follow its worker", run.job.id, exc_info=error)
        run.kill()
        if run.process is not None:
            await run.process.wait()
        return State.FAILED, error if isinstance(error, BackendError) else WorkerNotFollowed(error)

    async def _wait_for_engine(self, store: Store) -> None:
        """Wait while there are jobs that the runtime is not whole enough for, and tell each of them once."""
        told: set[str] = set()
        while not self._closing.is_set() and not self._engine_is_whole():
            for job in await asyncio.to_thread(store.jobs, State.QUEUED):
                if job.id not in told:
                    told.add(job.id)
                    await self._tell(store, job.id, [Note(time=now(), level="INFO", message=ENGINE_ARRIVING)])
            if not told:
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), ENGINE_SECONDS)

    async def _train(self, store: Store, run: Run) -> tuple[State, BackendError | None]:
        """Run the job's worker to its end; return the state that it ended in, and its error if it failed."""
        job, folder = run.job, self._folders.job(run.job.id)
        if saved_adapter(self._folders, job.id):  # by a worker that was killed before anybody heard of it
            return State.COMPLETED, None
        try:
            run.process = await start_worker(job.plan, folder, self._folders.adapter(job.id))
        except OSError as error:
            return State.FAILED, WorkerNotStarted(error, folder)
        if self._closing.is_set() and run.asked is None:
            run.ask(State.INTERRUPTED)
        if run.asked is not None:  # while the process was being made, so that there is nothing to save yet
            run.kill()
        status = await run.listen(lambda events: self._tell(store, job.id, events))
        if run.overdue:
            await self._tell(store, job.id, [Note(time=now(), level="WARN", message=OVERDUE)])
        state = outcome(status, saved=saved_adapter(self._folders, job.id) is not None, asked=run.asked)
        if run.asked is not None or status == 0:
            return state, None
        failure = await asyncio.to_thread(WorkerFailed, status, folder / LOG_NAME, run.failure)
        log.error("job %s: %s", job.id, failure.message)
        return state, failure

    async def _halt(self, job_id: str, state: State) -> Job:
        store = await self.open()
        async with self._choosing:
            job = await asyncio.to_thread(store.job, job_id)
            if job.state.ended:
                raise JobEnded(job_id, job.state)
            if self._run is None or self._run.job.id != job_id:
                return await self._change(store, job_id, state, ended_at=now())
            self._run.ask(state)
            return job

    async def _change(self, store: Store, job_id: str, state: State, **changes: object) -> Job:
        job, number, event = await asyncio.to_thread(partial(store.change, job_id, state, **changes))
        self.listeners.tell(job_id, number, event)
        self.listeners.changed(job)
        return job

    async def _tell(self, store: Store, job_id: str, events: list[Event]) -> None:
        numbers = await asyncio.to_thread(store.append, job_id, events)
        for number, event in zip(numbers, events, strict=True):
            self.listeners.tell(job_id, number, event)
