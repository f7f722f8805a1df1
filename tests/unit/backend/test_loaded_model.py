"""A loaded model as the server sees it, with a process that loads nothing."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from backend.errors import TaskFailed
from backend.inference.process import LoadedModel, Question
from tests.builders.backend import DEADLINE, wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a script stands for the interpreter")

# Notes what it is asked. To a prompt of "end" it ends; else it tells a token, and no more.
WORKER = """#!{python}
import json, os, sys
print(json.dumps({{"event": "loaded", "memory_mb": 1.0, "device": "cpu"}}), flush=True)
for line in sys.stdin:
    with open({notes!r}, "a") as notes:
        notes.write(line)
    asked = json.loads(line)
    if asked.get("prompt") == "end":
        os._exit(3)
    if asked["act"] == "generate":
        print(json.dumps({{"event": "token", "id": asked["id"], "token": "a"}}), flush=True)
"""


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have this worker be started; give the file of what it is asked."""
    path, worker = tmp_path / "notes", tmp_path / "worker"
    worker.write_text(WORKER.format(python=sys.executable, notes=str(path)))
    worker.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(worker))
    return path


@asynccontextmanager
async def loaded(folder: Path) -> AsyncIterator[LoadedModel]:
    with (folder / "log").open("ab") as log:
        model = await LoadedModel.start("m", "", log)
    async with asyncio.timeout(DEADLINE):
        try:
            yield model
        finally:
            await model.close()


def asked(notes: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in notes.read_text().splitlines()]


def test_who_stops_listening_cancels_the_generation(tmp_path: Path, notes: Path) -> None:
    async def listen_once() -> None:
        async with loaded(tmp_path) as model:
            async with aclosing(model.generate(Question(prompt="long"))) as pieces:
                assert await anext(pieces) == "a"
            await asyncio.to_thread(wait_until, lambda: len(asked(notes)) == 2, "the worker was asked twice")

    asyncio.run(listen_once())
    generation, cancel = asked(notes)
    assert cancel == {"id": generation["id"], "act": "cancel"}


@pytest.mark.usefixtures("notes")
def test_a_process_that_ends_by_itself_is_not_said_to_lack_memory(tmp_path: Path) -> None:
    async def ask() -> str:
        async with loaded(tmp_path) as model:
            with pytest.raises(TaskFailed) as failed:
                async with aclosing(model.generate(Question(prompt="end"))) as pieces:
                    await anext(pieces)
            return failed.value.message

    message = asyncio.run(ask())
    assert "status 3" in message
    assert "memory" not in message
