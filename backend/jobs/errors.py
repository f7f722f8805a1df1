"""Why a job cannot be made, found, stopped, resumed or deleted, and why there may be no jobs at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backend.errors import RequestError

if TYPE_CHECKING:
    from pathlib import Path


class JobUnknown(RequestError):
    """There is no job of this id."""

    code = "job-unknown"
    status = 404

    def __init__(self, job_id: str) -> None:
        super().__init__(f"There is no job {job_id!r}", "Take an id from GET /api/training/list.")


class JobEnded(RequestError):
    """The job has ended, so it can no longer be stopped."""

    code = "job-ended"
    status = 409

    def __init__(self, job_id: str, state: str) -> None:
        super().__init__(f"Job {job_id} has ended: it is {state}", "Nothing needs to be done.")


class JobBusy(RequestError):
    """The job has not ended, so it cannot be deleted."""

    code = "job-busy"
    status = 409

    def __init__(self, job_id: str, state: str) -> None:
        super().__init__(f"Job {job_id} is {state}", "Stop it first, and delete it when it has ended.")


class ProcessesNotPossible(RequestError):
    """A machine cannot train with so many processes."""

    code = "processes-not-possible"

    def __init__(self, processes: int, reason: str, remedy: str) -> None:
        super().__init__(f"nproc_per_node is {processes}, and {reason}", remedy)


class QuantizationNeedsCuda(RequestError):
    """Quantized weights were asked for on a machine that cannot compute with them."""

    code = "quantization-needs-cuda"

    def __init__(self, method: str, quantization: str) -> None:
        super().__init__(
            f"{method} with weights of {quantization} needs an NVIDIA GPU and a CUDA build of torch, "
            "and this machine has not both",
            "Choose the method lora, and no quantization.",
        )


class JobsUnavailable(RequestError):
    """The jobs of a data folder cannot be had at all."""

    status = 409


class JobsElsewhere(JobsUnavailable):
    """Another backend runs the jobs of this data folder."""

    code = "jobs-elsewhere"

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"Another backend runs the jobs of {path}",
            "Use that one or stop it, or start this one with a --data-dir of its own.",
            path=path,
        )


class JobsTooNew(JobsUnavailable):
    """The job store was written by a newer version."""

    code = "jobs-too-new"

    def __init__(self, path: Path, found: int, known: int) -> None:
        super().__init__(
            f"{path} has schema version {found}; this backend reads up to {known}",
            "Update the app, or start it with another --data-dir.",
            path=path,
        )


class JobsDamaged(JobsUnavailable):
    """The job store is no database any more."""

    code = "jobs-damaged"

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"The database of jobs, {path}, is damaged: {reason}",
            f"Stop the backend, move {path.name} and the files whose names begin so out of its folder, and start it "
            "again: the list of jobs begins anew, and finished adapters stay.",
            path=path,
        )


class JobsNotKept(JobsUnavailable):
    """The job store cannot be read or written now."""

    code = "jobs-not-kept"
    status = 507

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"The database of jobs, {path}, cannot be read or written: {reason}",
            "Make room on its disk, and see that the file can be written; then resume the job.",
            path=path,
        )
