"""What the app's two monitors read of a step: each field by its name and in its unit."""

from __future__ import annotations

from dataclasses import replace

from backend.clock import now
from backend.routes.frames import frames
from backend.training.events import Evaluated, from_line, to_line
from tests.builders.events import STEP

FULL = replace(
    STEP,
    samples_per_second=4.0,
    val_loss=2.6,
    val_perplexity=13.5,
    cpu=80.0,
    ram=2 * 1024**3,
    gpu_memory=3 * 1024**3,
    gpu_utilization=(97, 96),
    gpu_temperature=(61, 59),
    gpu_memory_used=(5 * 1024**3, 6 * 1024**3),
)
BARE = replace(STEP, step=1, epoch=0.1, grad_norm=None)


def test_both_monitors_hear_all_that_they_read() -> None:
    update, metrics = (frame["data"] for frame in frames(FULL))
    assert set(update) == {
        *("step", "totalSteps", "epoch", "loss", "learningRate", "tokensPerSecond", "timeElapsed", "timeRemaining"),
        *("progress", "gpuMemory", "gpuUtilization"),
    }
    assert (update["progress"], update["gpuMemory"], update["gpuUtilization"]) == (33, 3.0, 97)
    assert set(metrics) == {
        *("step", "epoch", "loss", "learning_rate", "grad_norm", "throughput", "samples_per_second", "timestamp"),
        *("gpu_utilization", "gpu_memory_used", "gpu_temperature", "cpu_utilization", "ram_used", "val_loss"),
        *("val_perplexity", "elapsed_time", "estimated_time_remaining"),
    }
    assert metrics["gpu_utilization"] == [97, 96]
    assert metrics["gpu_memory_used"] == [5 * 1024**3, 6 * 1024**3]


def test_a_validation_is_told_by_the_name_that_the_app_reads() -> None:
    (frame,) = frames(Evaluated(time=now(), step=20, loss=1.5, perplexity=4.5))
    assert frame == {"type": "training_update", "data": {"step": 20, "valLoss": 1.5}}


def test_what_is_not_known_is_absent_and_never_null() -> None:
    for frame in frames(BARE):
        assert None not in frame["data"].values()
    _, metrics = frames(BARE)
    assert (metrics["data"]["gpu_utilization"], "ram_used" in metrics["data"]) == ([], False)


def test_a_step_survives_its_line() -> None:
    assert from_line(to_line(FULL)) == FULL
