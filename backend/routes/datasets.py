"""Datasets: upload, list, look into, count, delete."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

from fastapi import Body, Depends, Query, Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from typing_extensions import TypedDict

from backend.datasets.errors import DatasetInUse, DatasetNotStored, UploadTooLarge
from backend.datasets.statistics import preview
from backend.datasets.store import Dataset
from backend.errors import RequestInvalid
from backend.routes.deleted import Deleted
from backend.routing import Router
from backend.services import Services, services
from backend.tasks.results import TokenCounts

router = Router(prefix="/api/datasets")

Parts = Annotated[Services, Depends(services)]
UPLOAD_BYTES = 4 * 1024**3
FORM_BYTES = 10_000  # what the form adds to its file
UPLOAD = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            }
        },
    }
}


class Datasets(TypedDict):
    """Every uploaded dataset, the last one first."""

    datasets: list[Dataset]


class Preview(TypedDict):
    """Some of a dataset's examples as texts, from the one of number `start` on, counted from 0."""

    id: str
    start: int
    examples: list[str]


@router.post("/upload", openapi_extra=UPLOAD)
async def upload(request: Request, parts: Parts) -> Dataset:
    """Take a .jsonl, .json, .csv, .txt or .parquet file, if it can be trained on."""
    file = await _received(request)
    try:
        loop = asyncio.get_running_loop()

        def rows_of_parquet(source: Path, destination: Path) -> None:
            task = parts.tasks.run("rows-of-parquet", source=str(source), destination=str(destination))
            asyncio.run_coroutine_threadsafe(task, loop).result()

        name = file.filename or "dataset"
        return await asyncio.to_thread(parts.datasets.add, file.file, name, rows_of_parquet)
    finally:
        await file.close()


@router.get("")
def datasets(parts: Parts) -> Datasets:
    """List the uploaded datasets, the last one first."""
    return {"datasets": parts.datasets.all()}


@router.get("/{dataset_id}")
def dataset(dataset_id: str, parts: Parts) -> Dataset:
    """Describe one dataset, with its statistics."""
    return parts.datasets.get(dataset_id)


@router.get("/{dataset_id}/preview")
def preview_of(
    dataset_id: str,
    parts: Parts,
    start: Annotated[int, Query(ge=0)] = 0,
    count: Annotated[int, Query(ge=1, le=100)] = 3,
) -> Preview:
    """Return some examples as text."""
    path = Path(parts.datasets.get(dataset_id).path)
    return {"id": dataset_id, "start": start, "examples": preview(path, start, count)}


@router.post("/{dataset_id}/tokens")
async def tokens(dataset_id: str, model: Annotated[str, Body(embed=True, min_length=1)], parts: Parts) -> TokenCounts:
    """Count the tokens that the examples have for a model."""
    found = await asyncio.to_thread(parts.datasets.get, dataset_id)
    counts: TokenCounts = await parts.tasks.run("count-tokens", model=model, dataset=found.path)
    return counts


@router.delete("/{dataset_id}")
async def delete(dataset_id: str, parts: Parts) -> Deleted:
    """Remove a dataset that no job will need any more."""
    path = Path((await asyncio.to_thread(parts.datasets.get, dataset_id)).path)
    for job in await parts.queue.jobs():
        if job.state.needs_material and job.plan.dataset == path:
            raise DatasetInUse(dataset_id, job.id, job.state)
    await asyncio.to_thread(parts.datasets.delete, dataset_id)
    return {"id": dataset_id, "status": "deleted"}


async def limited(stream: AsyncIterator[bytes], most: int) -> AsyncIterator[bytes]:
    """Pass pieces on until there are more bytes than `most`; then raise UploadTooLarge."""
    size = 0
    async for piece in stream:
        size += len(piece)
        if size > most:
            raise UploadTooLarge(UPLOAD_BYTES)
        yield piece


async def _received(request: Request) -> UploadFile:
    """Return the form's file, which lies in a temporary file if it is large. Raises UploadTooLarge, RequestInvalid."""
    most = UPLOAD_BYTES + FORM_BYTES
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > most:
        raise UploadTooLarge(UPLOAD_BYTES)
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise RequestInvalid([{"place": "body", "reason": "this is no multipart/form-data"}])
    parser = MultiPartParser(request.headers, limited(request.stream(), most), max_files=1, max_fields=10)  # type: ignore[arg-type]
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise RequestInvalid([{"place": "body", "reason": error.message}]) from error
    except OSError as error:  # what is large goes through a temporary file
        raise DatasetNotStored(Path(tempfile.gettempdir()), error) from error
    file = form.get("file")
    if not isinstance(file, UploadFile):
        raise RequestInvalid([{"place": "body.file", "reason": "the form has no file of this name"}])
    return file
