"""Which uploads go: the app never deletes what its users choose away, so that they would pile up for ever."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from backend.errors import BackendError
from backend.preferences import read

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from backend.datasets.store import Dataset, Datasets
    from backend.jobs.queue import Queue

FRESH = timedelta(days=1)  # in which its user may still be on the way to the training
UNUSED = timedelta(days=30)
AGAIN_SECONDS = 86_400.0
MB = 1_000_000

log = logging.getLogger(__name__)


def expired(datasets: Sequence[Dataset], needed: Collection[str], most_bytes: int, moment: datetime) -> list[Dataset]:
    """Return the datasets to remove: those unused for long, then the longest unused until all fit into `most_bytes`.

    None of those goes whose path is `needed`, or that was uploaded within a day.
    """
    size = sum(one.size for one in datasets)
    going = []
    for one in sorted(datasets, key=lambda one: one.used_at):
        age = moment - datetime.fromisoformat(one.used_at)
        if one.path not in needed and age > FRESH and (age > UNUSED or size > most_bytes):
            going.append(one)
            size -= one.size
    return going


async def clear_out_daily(datasets: Datasets, queue: Queue, settings: Path) -> None:
    """Remove the uploads that no job refers to now, and then every day, as the user's settings say by then."""
    while True:
        most = (await asyncio.to_thread(read, settings)).dataRetention.maxCacheSize * MB
        try:
            await _clear_out(datasets, queue, most)
        except (BackendError, OSError):
            log.exception("uploads that nobody uses could not be removed")
        await asyncio.sleep(AGAIN_SECONDS)


async def _clear_out(datasets: Datasets, queue: Queue, most_bytes: int) -> None:
    moment = datetime.now(UTC)
    found = await asyncio.to_thread(datasets.all)
    if not expired(found, (), most_bytes, moment):
        return  # without opening the jobs' database, which is slow to import
    needed = {str(job.plan.dataset) for job in await queue.jobs()}
    for one in expired(found, needed, most_bytes, moment):
        await asyncio.to_thread(datasets.delete, one.id)
        log.info("removed the upload %s, which no training uses: last used %s", one.name, one.used_at)
