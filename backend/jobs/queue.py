"""One job at a time: takes the oldest queued job, follows its worker, and keeps what it tells."""

from __future__ import annotations

import asyncio
import logging
import shutil
import uuid
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Literal

from backend import host
from backend.clock import now
from backend.jobs.errors import JobBusy, JobEnded, JobsElsewhere, JobsTooNew
from backend.jobs.job import Job
from backend.jobs.run import Run, outcome
from backend.states import State
from backend.training.events import Changed, Event, Note
from backend.training.process import LOG_NAME, WorkerFailed, WorkerNotStarted, start_worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from backend.errors import BackendError
    from backend.folders import Folders
    from backend.jobs.store import Store
    from backend.training.plan import TrainingPlan

ENGINE_ARRIVING = "The rest of the engine is still arriving; the training starts when it is whole"
ENGINE_SECONDS = 1.0  # how often a waiting job looks whether the rest of the runtime has arrived

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
        self._followers: dict[str, set[asyncio.Queue[tuple[int, Event]]]] = {}
        self._watchers: set[asyncio.Queue[Job]] = set()

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
        self._closing.set()
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
        """Queue a job again; its worker goes on from the last checkpoint. Raises JobUnknown, JobEnded if completed."""
        store = await self.open()
        async with self._choosing:
            job = await asyncio.to_thread(store.job, job_id)
            if job.state is State.COMPLETED:
                raise JobEnded(job_id, job.state)
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

    def waits_for(self, job: Job) -> Literal["engine", "jobs"] | None:
        """Return what a job waits for: "engine", the jobs before it ("jobs"), or None if it does not wait."""
        if job.state is not State.QUEUED:
            return None
        return "jobs" if self._engine_is_whole() else "engine"

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

    @contextmanager
    def watch(self) -> Iterator[asyncio.Queue[Job]]:
        """Give a queue that receives every job whose state changes from now on."""
        changing: asyncio.Queue[Job] = asyncio.Queue()
        self._watchers.add(changing)
        try:
            yield changing
        finally:
            self._watchers.discard(changing)

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
            state = State.COMPLETED if self._saved(job.id) else State.INTERRUPTED
            store.update(job.id, state=state.value, ended_at=now(), adapter_path=self._saved(job.id))
            store.append(job.id, Changed(time=now(), state=state))
        if self._resumes_by_itself():
            for job in store.jobs(State.INTERRUPTED):
                store.update(job.id, state=State.QUEUED.value, ended_at=None, error=None)
                store.append(job.id, Changed(time=now(), state=State.QUEUED))
        return store

    async def _run_jobs(self, store: Store) -> None:
        while not self._closing.is_set():
            self._arrived.clear()
            await self._wait_for_engine(store)
            async with self._choosing:
                waiting = await asyncio.to_thread(store.jobs, State.QUEUED)
                if waiting and self._engine_is_whole():
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
                    adapter_path=self._saved(self._run.job_id),
                    error=error.to_dict() if error else None,
                )
                self._run = None

    async def _wait_for_engine(self, store: Store) -> None:
        """Wait while there are jobs that the runtime is not whole enough for, and tell each of them once."""
        told: set[str] = set()
        while not self._closing.is_set() and not self._engine_is_whole():
            for job in await asyncio.to_thread(store.jobs, State.QUEUED):
                if job.id not in told:
                    told.add(job.id)
                    await self._tell(store, job.id, Note(time=now(), level="INFO", message=ENGINE_ARRIVING))
            if not told:
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), ENGINE_SECONDS)

    async def _train(self, store: Store, job: Job, run: Run) -> tuple[State, BackendError | None]:
        """Run the job's worker to its end; return the state that it ended in, and its error if it failed."""
        if self._saved(job.id):  # by a worker that was killed before anybody heard of it
            return State.COMPLETED, None
        folder = self._folders.job(job.id)
        try:
            run.process = await start_worker(job.plan, folder, self._folders.adapter(job.id))
        except OSError as error:
            return State.FAILED, WorkerNotStarted(error, folder)
        if self._closing.is_set():
            run.ask(State.INTERRUPTED)
        if run.asked is not None:  # while the process was being made, so that there is nothing to save yet
            run.kill()
        status = await run.listen(lambda event: self._tell(store, job.id, event))
        state = outcome(status, saved=self._saved(job.id) is not None, asked=run.asked)
        if run.asked is not None or status == 0:
            return state, None
        failure = await asyncio.to_thread(WorkerFailed, status, folder / LOG_NAME, run.failure)
        log.error("job %s: %s", job.id, failure.message)
        return state, failure

    def _saved(self, job_id: str) -> str | None:
        """Return a job's adapter if it is there: a worker moves it there whole, as its last deed."""
        adapter = self._folders.adapter(job_id)
        return str(adapter) if adapter.is_dir() else None

    async def _halt(self, job_id: str, state: State) -> Job:
        store = await self.open()
        async with self._choosing:
            job = await asyncio.to_thread(store.job, job_id)
            if job.state.ended:
                raise JobEnded(job_id, job.state)
            if self._run is None or self._run.job_id != job_id:
                return await self._change(store, job_id, state, ended_at=now())
            self._run.ask(state)
            return job

    async def _change(self, store: Store, job_id: str, state: State, **changes: object) -> Job:
        job = await asyncio.to_thread(store.update, job_id, state=state.value, **changes)
        await self._tell(store, job_id, Changed(time=now(), state=state))
        for watcher in self._watchers:
            watcher.put_nowait(job)
        return job

    async def _tell(self, store: Store, job_id: str, event: Event) -> None:
        number = await asyncio.to_thread(store.append, job_id, event)
        for arriving in self._followers.get(job_id, ()):
            arriving.put_nowait((number, event))


def _log_failure(runner: asyncio.Task[None]) -> None:
    if not runner.cancelled() and (error := runner.exception()) is not None:
        log.critical("the queue of jobs has ended by a bug", exc_info=error)
