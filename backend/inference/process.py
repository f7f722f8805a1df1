"""One loaded model as the server sees it: its process, and the generations under way."""

from __future__ import annotations

import asyncio
import json
import uuid
from dataclasses import asdict, dataclass
from typing import IO, TYPE_CHECKING, Any

from backend import host
from backend.errors import TaskFailed
from backend.workers import spawn

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncGenerator

    from backend.problem import Problem

GENERATION_SECONDS = 600.0
LOG_NAME = "inference.log"
REMEMBERED = 100  # answers of a model; each client saves its own soon after it came


@dataclass(frozen=True, kw_only=True)
class Question:
    """What to generate. `messages` of None: `prompt` as it stands; `adapter` of False: the base model alone."""

    prompt: str = ""
    messages: list[dict[str, str]] | None = None
    max_tokens: int = 256
    temperature: float = 0.7
    top_p: float = 0.9
    top_k: int = 50
    repetition_penalty: float = 1.1
    seed: int | None = None
    adapter: bool = True
    seconds: float = GENERATION_SECONDS

    @property
    def words(self) -> str:
        """What a person asked: the prompt, or the last message."""
        return self.messages[-1]["content"] if self.messages else self.prompt


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What was generated, and in how long."""

    text: str
    tokens: int
    seconds: float


class LoadedModel:
    """A model that answers. Made by `start`; its process ends with `close`, or by itself."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._listeners: dict[str, asyncio.Queue[dict[str, Any]]] = {}
        self._loading: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._reader = asyncio.create_task(self._read())
        self.memory_mb = 0.0
        self.device = ""
        self._answers: dict[str, str] = {}  # the last ones, by what was asked
        self._ended: Problem | None = None

    @classmethod
    async def start(cls, model: str, adapter: str, log: IO[bytes]) -> LoadedModel:
        """Start the process and wait until the model is loaded. Raises TaskFailed."""
        loaded = cls(await spawn("backend.inference.worker", model, adapter, log=log, listens=True))
        try:
            event = await loaded._loading.get()
        except asyncio.CancelledError:
            await loaded.close()
            raise
        if event["event"] != "loaded":
            await loaded.close()
            raise TaskFailed(**event["error"])
        loaded.memory_mb, loaded.device = event["memory_mb"], event["device"]
        return loaded

    @property
    def pid(self) -> int:
        """The process that holds the model."""
        return self._process.pid

    @property
    def lives(self) -> bool:
        """Whether it can still answer."""
        return not self._reader.done()

    async def generate(self, question: Question) -> AsyncGenerator[str | Answer, None]:
        """Yield the text piece by piece, then the answer. Whoever stops listening cancels. Raises TaskFailed."""
        request_id = uuid.uuid4().hex
        events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._listeners[request_id] = events
        answered = False
        try:
            if not self.lives:
                assert self._ended is not None
                raise TaskFailed(**self._ended)
            self._ask(id=request_id, act="generate", **asdict(question))
            while (event := await events.get())["event"] == "token":
                yield event["token"]
            answered = True
            if event["event"] == "failed":
                raise TaskFailed(**event["error"])
            self._remember(question.words, event["text"])
            yield Answer(text=event["text"], tokens=event["tokens"], seconds=event["seconds"])
        finally:
            del self._listeners[request_id]
            if self.lives and not answered:
                self._ask(id=request_id, act="cancel")

    def answer_to(self, words: str) -> str | None:
        """Return what the model answered last to these words, or None if it was not asked them lately."""
        return self._answers.get(words)

    async def close(self) -> None:
        """End the process: whatever it held is free when this returns."""
        host.kill_group(self._process.pid)
        await self._process.wait()
        await self._reader

    def _remember(self, words: str, answer: str) -> None:
        self._answers.pop(words, None)
        self._answers[words] = answer
        if len(self._answers) > REMEMBERED:
            del self._answers[next(iter(self._answers))]

    def _ask(self, **request: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            event = json.loads(line)
            listener = self._listeners.get(event["id"]) if "id" in event else self._loading
            if listener is not None:
                listener.put_nowait(event)
        self._ended = _ended(await self._process.wait())
        for listener in (*self._listeners.values(), self._loading):
            listener.put_nowait({"event": "failed", "error": self._ended})


def _ended(status: int) -> Problem:
    """Return the error that a model's process has ended with an exit status."""
    message = f"The process that held this model has ended with status {status}"
    remedy = f"Look at the last lines of {LOG_NAME}, and load the model again."
    if host.was_killed(status):
        message = "The system ended the process that held this model, most often since memory ran out"
        remedy = "Load the model again, or a smaller one."
    return TaskFailed("inference-ended", message, remedy).to_dict()
