"""Why a dataset cannot be taken, found, used or removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backend.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class DatasetMissing(RequestError):
    """No dataset is where the request says."""

    code = "dataset-missing"

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"{path} is no dataset: {reason}",
            "Give the full path of a .jsonl, .json, .csv or .txt file.",
            path=path,
        )


class DatasetUnusable(RequestError):
    """The file is there, and cannot be trained on; `detail` lists its first problems."""

    code = "dataset-unusable"

    def __init__(self, path: Path, problems: Sequence[dict[str, str]], remedy: str) -> None:
        first = problems[0]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(
            f"{path.name}, {first['place']}: {first['reason']}{more}", remedy, path=path, detail=list(problems)
        )


class DatasetUnknown(RequestError):
    """There is no uploaded dataset of this id."""

    code = "dataset-unknown"
    status = 404

    def __init__(self, dataset_id: str) -> None:
        super().__init__(
            f"There is no dataset {dataset_id!r}", "Take an id from GET /api/datasets, or upload the file."
        )


class DatasetNotStored(RequestError):
    """The disk does not take an uploaded dataset."""

    code = "dataset-not-stored"
    status = 507

    def __init__(self, folder: Path, error: OSError) -> None:
        super().__init__(
            f"The dataset cannot be kept in {folder}: {error}", "Make room on this disk, and upload it again."
        )


class DatasetInUse(RequestError):
    """A job that has not completed still needs the dataset."""

    code = "dataset-in-use"
    status = 409

    def __init__(self, dataset_id: str, job_id: str, state: str) -> None:
        super().__init__(
            f"Job {job_id} needs dataset {dataset_id}: it is {state}",
            "Wait until the job has completed, or stop it and delete it first.",
        )


class UploadTooLarge(RequestError):
    """A file is larger than this backend takes."""

    code = "upload-too-large"
    status = 413

    def __init__(self, most: int) -> None:
        super().__init__(
            f"The file is larger than {most / 1024**3:.0f} GiB",
            "Start the training with the full path of the file, which need not be uploaded.",
        )
