"""Train many times in one process, with the backend's own code: `<python> train_many.py REQUESTS FOLDER`.

REQUESTS is a JSON file, a list of fields of a training plan, each with an `id`, and a `limit_mb` if the process may
take only so much more address space for it. FOLDER/ID.json says what became of each: its losses, validations, notes,
the adapter's folder, or the error, and the MiB that it took at its peak. The imports, which take longer than the
trainings, are done once.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import resource
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from backend.errors import BackendError
from backend.training.events import Evaluated, Event, Note, Progress
from backend.training.plan import TrainingPlan
from backend.training.precision import QUANTIZING_DEVICES
from backend.training.train import train

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 1024**2
M_MMAP_THRESHOLD = -3  # mallopt(3)
MAPPED_BYTES = 128 * 1024  # what glibc begins with


def main(requests: Path, folder: Path) -> None:
    """Do every training, one after the other; quantized ones too, as the backend itself does with CUDA only."""
    QUANTIZING_DEVICES.append("cpu")
    # glibc keeps more and more of what was freed, as its threshold grows: a peak would tell of earlier trainings too.
    ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES)
    for request in json.loads(requests.read_text(encoding="utf-8")):
        name = request.pop("id")
        limit = request.pop("limit_mb", None)
        job, told = folder / "jobs" / name, list[Event]()
        job.mkdir(parents=True)
        os.chdir(job)
        plan = TrainingPlan.from_dict({"name": name, "target_modules": None, **request})
        found: dict[str, Any] = {"adapter": str(folder / name)}
        try:
            with peak_of(found), limited(limit):
                train(plan, job, folder / name, told.append, lambda: False)
        except BackendError as error:
            found["error"] = error.to_dict()
        found["losses"] = [event.loss for event in told if isinstance(event, Progress)]
        found["validation"] = [(event.step, event.loss) for event in told if isinstance(event, Evaluated)]
        found["notes"] = [event.message for event in told if isinstance(event, Note)]
        (folder / f"{name}.json").write_text(json.dumps(found), encoding="utf-8")


@contextmanager
def limited(megabytes: int | None) -> Iterator[None]:
    """Have the kernel refuse memory beyond so much more than this process has."""
    if megabytes is None:
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + megabytes * MIB, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@contextmanager
def peak_of(found: dict[str, Any]) -> Iterator[None]:
    """Note how much more memory this process held at its peak than before; what nobody uses is given back first.

    Pages of files do not count: the kernel takes those of libraries away and brings them back as it likes.
    """
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak, proc(5)
    before = status_mib("RssAnon")
    try:
        yield
    finally:
        found["peak_mb"] = status_mib("VmHWM") - status_mib("RssFile") - before


def status_mib(field: str) -> float:
    """Return a field of this process's status, which the kernel counts in KiB."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{field}:")]
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute(), Path(sys.argv[2]).absolute())
