"""Training jobs: start, list, look at, stop, and listen."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

from fastapi import Depends, WebSocket, WebSocketDisconnect
from typing_extensions import TypedDict

from backend.background import in_background
from backend.clock import Time
from backend.datasets.statistics import Extent, extent
from backend.datasets.store import ID as DATASET_ID
from backend.errors import RequestError
from backend.hardware import Hardware, device_of
from backend.jobs.errors import ProcessesNotPossible, QuantizationNeedsCuda
from backend.jobs.job import Job, WaitsFor
from backend.jobs.queue import Queue
from backend.models.local import local_model, require_file
from backend.models.names import is_folder
from backend.problem import Problem
from backend.routes.frames import Metrics, frames, metrics
from backend.routing import Json, Router
from backend.schemas import Chosen, Started, StartTraining
from backend.services import Services, services
from backend.states import State
from backend.training.events import Changed, Evaluated, Event, Progress, replayed
from backend.training.plan import TrainingPlan

router = Router()

REPLAYED_STEPS = 1000
CLOSE_NO_SUCH_JOB = 4404


class Summary(TypedDict):
    """A job: what it trains on what, how it is, and if it has ended, how. Its model and dataset as they were asked for.

    `waiting_for` is what a queued job waits for, null of any other.
    """

    job_id: str
    name: str
    state: State
    waiting_for: WaitsFor | None
    model: str
    dataset: str
    created_at: Time
    started_at: Time | None
    ended_at: Time | None
    adapter_path: str | None
    error: Problem | None


class Jobs(TypedDict):
    """All jobs, the newest first."""

    jobs: list[Summary]


class Validation(TypedDict):
    """The loss on the examples that are kept for validation, after a step."""

    step: int
    val_loss: float
    val_perplexity: float


class DescribedJob(Summary):
    """A job with its plan, every logged step, and every validation."""

    plan: TrainingPlan
    metrics: list[Metrics]
    validation: list[Validation]


class DeletedJob(TypedDict):
    """The job is forgotten."""

    job_id: str
    status: Literal["deleted"]


@router.post("/api/training/start")
async def start(body: StartTraining, parts: Annotated[Services, Depends(services)]) -> Started:
    """Check model and dataset, then make a job."""
    plan, chosen = await asyncio.to_thread(_checked, body, parts)
    job, at_once = await parts.queue.submit(plan)
    waits_for = None if at_once else parts.queue.waits_for(job)
    return Started(
        job_id=job.id,
        status="started" if at_once else "queued",
        waiting_for=waits_for,
        defaults=chosen,
    )


@router.get("/api/training/list")
async def jobs(parts: Annotated[Services, Depends(services)]) -> Jobs:
    """List all jobs, the newest first."""
    return {"jobs": [_summary(job, parts.queue) for job in reversed(await parts.queue.jobs())]}


@router.get("/api/training/{job_id}")
async def job(job_id: str, parts: Annotated[Services, Depends(services)]) -> Json[DescribedJob]:
    """Describe one job: its state, plan, every logged step, and how it ended."""
    found = await parts.queue.job(job_id)
    told = [event for _, event in await parts.queue.events(job_id)]
    return await asyncio.to_thread(_described, found, parts.queue, told)


@router.post("/api/training/{job_id}/stop")
async def stop(job_id: str, parts: Annotated[Services, Depends(services)]) -> Summary:
    """Ask a job to stop; a running one finishes its step and saves a checkpoint first."""
    return _summary(await parts.queue.stop(job_id), parts.queue)


@router.post("/api/training/{job_id}/pause")
async def pause(job_id: str, parts: Annotated[Services, Depends(services)]) -> Summary:
    """Ask a job to stop for the time being, with a checkpoint to go on from."""
    return _summary(await parts.queue.pause(job_id), parts.queue)


@router.post("/api/training/{job_id}/resume")
async def resume(job_id: str, parts: Annotated[Services, Depends(services)]) -> Summary:
    """Queue a paused, stopped, interrupted or failed job again; it goes on from its last checkpoint."""
    return _summary(await parts.queue.resume(job_id), parts.queue)


@router.delete("/api/training/{job_id}")
async def delete(job_id: str, parts: Annotated[Services, Depends(services)]) -> DeletedJob:
    """Forget a job that does not run, its log and its checkpoints. Its adapter stays."""
    await parts.queue.delete(job_id)
    return {"job_id": job_id, "status": "deleted"}


@router.websocket("/ws/training/{job_id}")
async def listen(socket: WebSocket, job_id: str, parts: Annotated[Services, Depends(services)]) -> None:
    """Tell what a job has told so far, then what it tells from now on."""
    await socket.accept()
    with suppress(WebSocketDisconnect):
        await _converse(socket, parts.queue, job_id)


async def _converse(socket: WebSocket, queue: Queue, job_id: str) -> None:
    """Talk until the client goes, which raises WebSocketDisconnect, or say that there is nothing to talk about."""
    try:
        await queue.job(job_id)
    except RequestError as error:
        await socket.send_json({"type": "error", "data": error.to_dict()})
        await socket.close(CLOSE_NO_SUCH_JOB)
        return
    telling = in_background(_tell(socket, queue, job_id), f"telling of job {job_id}")
    try:
        while True:
            if await socket.receive_text() == "ping":
                await socket.send_json({"type": "pong"})
    finally:
        telling.cancel()


async def _tell(socket: WebSocket, queue: Queue, job_id: str) -> None:
    with suppress(WebSocketDisconnect):  # the receiving side hears of it too, and ends the conversation
        await _tell_all(socket, queue, job_id)


async def _tell_all(socket: WebSocket, queue: Queue, job_id: str) -> None:
    await socket.send_json({"type": "connected"})
    with queue.listeners.follow(job_id) as arriving:  # before reading the past, so that nothing falls between
        past = await queue.events(job_id)
        for event in await asyncio.to_thread(_worth_replaying, [event for _, event in past]):
            await _send(socket, event)
        last = past[-1][0] if past else 0
        while True:
            number, event = await arriving.get()
            if number > last:
                await _send(socket, event)


async def _send(socket: WebSocket, event: Event) -> None:
    for frame in frames(event):
        await socket.send_json(frame)


def _worth_replaying(past: list[Event]) -> list[Event]:
    """Return the events that bring a late client up to date: of states only the last, of steps the last many."""
    past = replayed(past)
    states = [event for event in past if isinstance(event, Changed)]
    steps = [event for event in past if isinstance(event, Progress)][-REPLAYED_STEPS:]
    validations = [event for event in past if isinstance(event, Evaluated)][-REPLAYED_STEPS:]
    notes = [event for event in past if not isinstance(event, Changed | Progress | Evaluated)]
    return [*notes, *steps, *validations, *states[-1:]]


def _checked(body: StartTraining, parts: Services) -> tuple[TrainingPlan, dict[str, Chosen]]:
    """Return the plan, and what of it the request has left to us; or raise what is wrong with what it says.

    A hub id is the worker's to look up.
    """
    path, holds = _dataset(body.dataset, parts)
    if is_folder(body.model):
        require_file(body.model, "config.json")
    machine = parts.hardware.profile()
    card = local_model(body.model, parts.hub_cache)
    now = None
    if card is not None and card.count is not None:
        now = body.situation(card.count, device_of(machine, body.nproc_per_node, parts.queue.held), holds)
    chosen = body.chosen(now)
    plan = body.plan(path, chosen)
    if plan.quantization != "none" and not machine["cuda_available"]:
        raise QuantizationNeedsCuda(plan.method, plan.quantization)
    if plan.is_distributed:
        _require_processes(plan.nproc_per_node, machine)
    return plan, chosen


def _dataset(named: str, parts: Services) -> tuple[Path, Extent]:
    """Return where a dataset's rows are, of an upload or a file, and how much it holds; or raise why it is none."""
    if DATASET_ID.fullmatch(named):
        found = parts.datasets.get(named)
        return Path(found.path), found.statistics.extent
    return Path(named), extent(Path(named))


def _require_processes(count: int, machine: Hardware) -> None:
    """Raise ProcessesNotPossible unless each of so many processes would have a GPU, or a core, of its own."""
    if machine["platform"] != "Linux":
        reason = (
            f"several processes can train on Linux only, where they end with the backend; this is {machine['platform']}"
        )
        raise ProcessesNotPossible(count, reason, "Leave nproc_per_node and nnodes out.")
    there, what = len(machine["gpus"]), "GPUs"
    if not machine["cuda_available"]:
        there, what = machine["cpu"]["cores_logical"], "processor cores, and no GPU that torch can use"
    if count > there:
        raise ProcessesNotPossible(count, f"this machine has {there} {what}", f"Choose {there} at most.")


def _described(found: Job, queue: Queue, events: list[Event]) -> Json[DescribedJob]:
    """Return a job and what it told, as text: a hundred thousand steps would hold up the event loop for seconds."""
    told = replayed(events)
    described: DescribedJob = {
        **_summary(found, queue),
        "plan": found.plan,
        "metrics": [metrics(event) for event in told if isinstance(event, Progress)],
        "validation": [
            {"step": event.step, "val_loss": event.loss, "val_perplexity": event.perplexity}
            for event in told
            if isinstance(event, Evaluated)
        ],
    }
    return Json(described)


def _summary(job: Job, queue: Queue) -> Summary:
    return {
        "job_id": job.id,
        "name": job.plan.name,
        "state": job.state,
        "waiting_for": queue.waits_for(job),
        "model": job.plan.model,
        "dataset": str(job.plan.dataset),
        "created_at": job.created_at,
        "started_at": job.started_at,
        "ended_at": job.ended_at,
        "adapter_path": job.adapter_path,
        "error": job.error,
    }
