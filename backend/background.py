"""Tasks that nobody waits for: what ends one by surprise is logged, and does not vanish with it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine

log = logging.getLogger(__name__)


def in_background(work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
    """Begin to work; `name` is what the log calls it, if it ends by a bug."""
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_log_failure)
    return task


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.critical("%s has ended by a bug", task.get_name(), exc_info=error)
