from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from backend.background import in_background

if TYPE_CHECKING:
    import pytest


async def fail() -> None:
    raise ZeroDivisionError


def test_a_task_that_nobody_waits_for_does_not_fail_in_silence(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        await asyncio.wait([in_background(fail(), "counting sheep")])

    asyncio.run(run())
    assert "counting sheep has ended by a bug" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_a_task_that_is_cancelled_is_no_bug(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        task = in_background(asyncio.sleep(60), "sleeping")
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(run())
    assert not caplog.text
