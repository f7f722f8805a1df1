"""What the app's notifications are made of: how jobs and downloads ended, and that the engine has arrived."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backend.models.downloads import DownloadState
from backend.states import State

if TYPE_CHECKING:
    from backend.jobs.job import Job
    from backend.models.downloads import Download
    from backend.preferences import Notifications

ENGINE_ARRIVED = {
    "type": "completion",
    "title": "The engine is complete",
    "message": "Training and inference can start.",
    "urgency": "low",
}


def of_job(job: Job) -> dict[str, Any] | None:
    """Return what to tell of a job that has ended, None if nobody need hear of it."""
    if job.state is State.COMPLETED:
        return _notification("completion", "Training complete", f"{job.plan.name} has been trained.", "normal")
    if job.state is State.FAILED:
        why = f"{job.error['message']}. {job.error['remedy']}" if job.error else "it failed."
        return _notification("error", "Training failed", f"{job.plan.name}: {why}", "critical")
    if job.state is State.INTERRUPTED:
        return _notification("warning", "Training interrupted", f"{job.plan.name} can be resumed.", "high")
    return None


def of_download(record: Download) -> dict[str, Any] | None:
    """Return what to tell of a download that has ended, None if nobody need hear of it."""
    if record["state"] == DownloadState.COMPLETED:
        return _notification("completion", "Download complete", f"{record['model_id']} is on this machine.", "normal")
    if record["state"] == DownloadState.FAILED and (error := record["error"]) is not None:
        return _notification("error", "Download failed", f"{error['message']}. {error['remedy']}", "high")
    return None


def is_wanted(notification: dict[str, Any], settings: Notifications) -> bool:
    """Tell whether the user wants to hear of it."""
    if notification["title"].startswith("Training"):
        return settings.enabled and (
            settings.trainingComplete if notification["type"] == "completion" else settings.trainingFailed
        )
    return settings.enabled and settings.systemUpdates


def frame(notification: dict[str, Any]) -> dict[str, Any]:
    """Return the message of the WebSocket."""
    return {"type": "notification", "data": notification}


def _notification(kind: str, title: str, message: str, urgency: str) -> dict[str, Any]:
    done = {"taskbar_progress": 1.0} if kind == "completion" else {}
    return {"type": kind, "title": title, "message": message, "urgency": urgency, **done}
