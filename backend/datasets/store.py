"""Uploaded datasets: a folder each, named by its content, so that the same file uploaded twice is there once."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import threading
import uuid
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePath
from typing import IO, TYPE_CHECKING, Any

from backend.clock import Time, now
from backend.datasets.errors import DatasetNotStored, DatasetUnknown
from backend.datasets.rows import text_columns
from backend.datasets.statistics import Statistics, measure
from backend.documents import read_object, remove, write_whole

if TYPE_CHECKING:
    from collections.abc import Callable

ID = re.compile(r"[0-9a-f]{16}")
COPY_BYTES = 1024 * 1024
PARQUET = ".parquet"
RECORD = "dataset.json"


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """An uploaded file: `name` as it was called, `path` where its rows are, `size` in bytes.

    `used_at` is when it was uploaded last; `columns` are those whose texts make the examples.
    """

    id: str
    name: str
    path: str
    format: str
    size: int
    created_at: Time
    used_at: Time
    columns: tuple[str, ...]
    num_samples: int
    statistics: Statistics

    @classmethod
    def from_dict(cls, values: dict[str, Any], folder: Path) -> Dataset:
        """Return the dataset that the record in `folder` describes: the data folder may have moved since."""
        known = {name: values[name] for name in ("id", "name", "format", "size", "created_at")}
        known["path"] = str(folder / PurePath(values["path"]).name)
        known["used_at"] = values.get("used_at", values["created_at"])  # records of earlier versions have none
        known["columns"] = tuple(values.get("columns", ()))  # as above
        statistics = Statistics.from_dict(values["statistics"])
        return cls(**known, num_samples=statistics.num_samples, statistics=statistics)


class Datasets:
    """The datasets of one data folder. Methods may be called from any thread, and take as long as the disk does."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._placing = threading.Lock()

    def add(self, source: IO[bytes], name: str, rows_of_parquet: Callable[[Path, Path], None]) -> Dataset:
        """Take a file over, if it can be trained on. `rows_of_parquet` turns a parquet file into one of JSON lines.

        Raises DatasetMissing for a name of no known format, DatasetUnusable, DatasetNotStored, and what
        `rows_of_parquet` raises.
        """
        suffix = PurePath(name).suffix.lower()
        arriving = self._folder / f"{uuid.uuid4().hex}.arriving"
        try:
            arriving.mkdir(parents=True)
            rows = arriving / f"rows{suffix}"
            digest, size = _copy(source, rows, suffix)
            if (known := self._used_again(digest)) is not None:
                return known
            if suffix == PARQUET:
                uploaded, rows = rows, rows.with_suffix(".jsonl")
                rows_of_parquet(uploaded, rows)
            statistics = measure(rows)
            dataset = Dataset(
                id=digest,
                name=name,
                path=str(self._folder / digest / rows.name),
                format=suffix.removeprefix("."),
                size=size,
                created_at=(arrived := now()),
                used_at=arrived,
                columns=tuple(text_columns(rows)),
                num_samples=statistics.num_samples,
                statistics=statistics,
            )
            write_whole(arriving / RECORD, asdict(dataset))
            return self._taken(arriving, dataset)
        except OSError as error:
            raise DatasetNotStored(self._folder, error) from error
        finally:
            shutil.rmtree(arriving, ignore_errors=True)  # gone by now, if it was taken

    def all(self) -> list[Dataset]:
        """Return every dataset, the last uploaded first."""
        found = (self._find(path.name) for path in self._folder.glob("*") if ID.fullmatch(path.name))
        return sorted((one for one in found if one is not None), key=lambda one: one.created_at, reverse=True)

    def get(self, dataset_id: str) -> Dataset:
        """Return one dataset. Raises DatasetUnknown."""
        found = self._find(dataset_id)
        if found is None:
            raise DatasetUnknown(dataset_id)
        return found

    def delete(self, dataset_id: str) -> None:
        """Remove one dataset. Raises DatasetUnknown."""
        remove(self._folder / self.get(dataset_id).id)

    def _taken(self, arriving: Path, dataset: Dataset) -> Dataset:
        """Put a dataset in its place, unless somebody else has uploaded the same meanwhile."""
        place = self._folder / dataset.id
        with self._placing:
            if (known := self._used_again(dataset.id)) is not None:
                return known
            if place.exists():  # without a record that can be read: of no use to anybody
                remove(place)
            arriving.rename(place)
        return dataset

    def _used_again(self, dataset_id: str) -> Dataset | None:
        """Return a dataset that is there already, as used now."""
        if (known := self._find(dataset_id)) is None:
            return None
        again = replace(known, used_at=now())
        write_whole(self._folder / dataset_id / RECORD, asdict(again))
        return again

    def _find(self, dataset_id: str) -> Dataset | None:
        if not ID.fullmatch(dataset_id):
            return None
        folder = self._folder / dataset_id
        record = read_object(folder / RECORD)
        return None if record is None else Dataset.from_dict(record, folder)


def _copy(source: IO[bytes], destination: Path, suffix: str) -> tuple[str, int]:
    """Copy a file to the disk; return the id that its format and content give it, and its size in bytes."""
    digest, size = hashlib.sha256(f"{suffix}\0".encode()), 0
    with destination.open("xb") as file:
        while piece := source.read(COPY_BYTES):
            digest.update(piece)
            size += len(piece)
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()[:16], size
