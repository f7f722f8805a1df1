"""How the app's monitors hear of a training: two of them, each with a dialect of its own on the same socket."""

from __future__ import annotations

from typing import Any, cast

from typing_extensions import TypedDict

from backend.clock import Time
from backend.states import State
from backend.training.events import Changed, Evaluated, Event, Failed, Note, Progress, Saved

GB = 1024**3

# The app's monitor knows four words; the true state goes beside them.
STATUS = {
    State.QUEUED: "paused",
    State.RUNNING: "running",
    State.PAUSED: "paused",
    State.COMPLETED: "completed",
    State.STOPPED: "completed",
    State.INTERRUPTED: "paused",
    State.FAILED: "failed",
}


class Measured(TypedDict, total=False):
    """What is not there could not be measured, or not yet."""

    grad_norm: float
    samples_per_second: float
    val_loss: float
    val_perplexity: float
    cpu_utilization: float
    ram_used: int


class Metrics(Measured):
    """A logged step. Times in seconds since the worker began, memory in bytes, shares in per cent, temperatures in °C.

    `throughput` is in tokens a second. What the driver says has one value a GPU. Validations are the last that were
    done. What is not required could not be measured, or not yet, where it is missing.
    """

    step: int
    epoch: float
    loss: float
    learning_rate: float
    throughput: float
    timestamp: Time
    elapsed_time: float
    estimated_time_remaining: float
    gpu_utilization: list[int]
    gpu_temperature: list[int]
    gpu_memory_used: list[int]


def frames(event: Event) -> list[dict[str, Any]]:
    """Return the WebSocket messages of an event, in both dialects that the app's monitors speak."""
    match event:
        case Progress():
            return [_update(event), {"type": "metrics", "data": metrics(event)}]
        case Evaluated():
            return [{"type": "training_update", "data": {"step": event.step, "valLoss": event.loss}}]
        case Note():
            return [_log_entry(event.time, event.level, event.message)]
        case Saved():
            return [_log_entry(event.time, "INFO", f"Adapter saved in {event.adapter}")]
        case Failed():
            return [_log_entry(event.time, "ERROR", f"{event.message}. {event.remedy}")]
        case Changed(state=state):
            return [{"type": "status_change", "data": {"status": STATUS[state], "state": state.value}}]


def _log_entry(time: str, level: str, message: str) -> dict[str, Any]:
    return {"type": "log_entry", "data": {"log": {"time": time, "level": level, "message": message}}}


def _update(event: Progress) -> dict[str, Any]:
    return {
        "type": "training_update",
        "data": {
            "step": event.step,
            "totalSteps": event.total_steps,
            "epoch": event.epoch,
            "loss": event.loss,
            "learningRate": event.learning_rate,
            "tokensPerSecond": event.tokens_per_second,
            "timeElapsed": event.elapsed,
            "timeRemaining": event.remaining,
            "progress": round(100 * event.step / event.total_steps),
            **({} if event.gpu_memory is None else {"gpuMemory": round(event.gpu_memory / GB, 2)}),
            **({"gpuUtilization": event.gpu_utilization[0]} if event.gpu_utilization else {}),
        },
    }


def metrics(event: Progress) -> Metrics:
    """Return a logged step as the API tells it."""
    optional = {
        "grad_norm": event.grad_norm,
        "samples_per_second": event.samples_per_second,
        "val_loss": event.val_loss,
        "val_perplexity": event.val_perplexity,
        "cpu_utilization": event.cpu,
        "ram_used": event.ram,
    }
    measured = {name: value for name, value in optional.items() if value is not None}
    return {
        "step": event.step,
        "epoch": event.epoch,
        "loss": event.loss,
        "learning_rate": event.learning_rate,
        "throughput": event.tokens_per_second,
        "timestamp": event.time,
        "elapsed_time": event.elapsed,
        "estimated_time_remaining": event.remaining,
        "gpu_utilization": list(event.gpu_utilization),
        "gpu_temperature": list(event.gpu_temperature),
        "gpu_memory_used": list(event.gpu_memory_used),
        **cast("Measured", measured),
    }
