"""Train many times in one process, with the backend's own code: `<python> train_many.py REQUESTS FOLDER`.

REQUESTS is a JSON file, a list of fields of a training plan, each with an `id`. FOLDER/ID.json says what became of
each: its losses, validations, notes, the adapter's folder, or the error. The imports, which take longer than the
trainings, are done once.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from backend.errors import BackendError
from backend.training.events import Evaluated, Event, Note, Progress
from backend.training.plan import TrainingPlan
from backend.training.train import train


def main(requests: Path, folder: Path) -> None:
    """Do every training, one after the other."""
    for request in json.loads(requests.read_text(encoding="utf-8")):
        name = request.pop("id")
        job, told = folder / "jobs" / name, list[Event]()
        job.mkdir(parents=True)
        os.chdir(job)
        plan = TrainingPlan.from_dict({"name": name, "target_modules": None, **request})
        found: dict[str, Any] = {"adapter": str(folder / name)}
        try:
            train(plan, job, folder / name, told.append, lambda: False)
        except BackendError as error:
            found = {"error": error.to_dict()}
        found["losses"] = [event.loss for event in told if isinstance(event, Progress)]
        found["validation"] = [(event.step, event.loss) for event in told if isinstance(event, Evaluated)]
        found["notes"] = [event.message for event in told if isinstance(event, Note)]
        (folder / f"{name}.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute(), Path(sys.argv[2]).absolute())
