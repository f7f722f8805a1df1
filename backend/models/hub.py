"""The model hub, asked over HTTPS. It may be out of reach, and that is no error here."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import Request, urlopen

from typing_extensions import TypedDict

from backend.clock import Time, now
from backend.models.card import MILLION, ModelCard

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ENDPOINT = "https://huggingface.co"
ANSWER_SECONDS = 4.0
REMEMBERED_SECONDS = 30.0  # for which an answer, or that there was none, holds
REMEMBERED_ANSWERS = 200
ABSENT = {401, 403, 404}  # how the hub answers of a model that it has not, or not for us
TRUE = {"1", "ON", "YES", "TRUE"}

log = logging.getLogger(__name__)


class HubStatus(TypedDict):
    """Whether the hub answered when it was asked last, and when that was; `checking` before the first time."""

    status: Literal["online", "offline", "checking"]
    last_check: Time | None


@dataclass(frozen=True)
class Remembered:
    """An answer of the hub, None where there was none, and until when it holds."""

    cards: list[ModelCard] | None
    until: float


class Hub:
    """Asks each question once in a while, however often it is put, and one at a time.

    In a thread of its own: whoever waits for a network that swallows everything takes none of those that others need.
    """

    def __init__(self, environment: Mapping[str, str], token: Callable[[], str | None]) -> None:
        self.endpoint = (environment.get("HF_ENDPOINT") or ENDPOINT).rstrip("/")
        self.switched_off = environment.get("HF_HUB_OFFLINE", "").upper() in TRUE
        self._token = token
        self._answers: dict[str, Remembered] = {}
        self._asking = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, "hub")
        self._reached: bool | None = False if self.switched_off else None
        self._asked_at: str | None = None
        self._unreachable_until = 0.0

    async def search(self, query: str, limit: int) -> list[ModelCard] | None:
        """Return the most downloaded text models that match, or None where the hub is out of reach."""
        asked = {"pipeline_tag": "text-generation", "sort": "downloads", "direction": "-1", "limit": str(limit)}
        return await self._remembered("?" + urlencode(asked | {"full": "true"} | ({"search": query} if query else {})))

    async def model(self, model_id: str) -> list[ModelCard] | None:
        """Return the one model of an id, or none if the hub has none for us; None where it is out of reach."""
        return await self._remembered("/" + quote(model_id))

    async def _remembered(self, path: str) -> list[ModelCard] | None:
        async with self._asking:
            remembered = self._answers.get(path)
            if remembered is None or remembered.until < time.monotonic():
                self._answers.pop(path, None)
                while len(self._answers) >= REMEMBERED_ANSWERS:
                    self._answers.pop(next(iter(self._answers)))
                remembered = Remembered(await self._answer(path), time.monotonic() + REMEMBERED_SECONDS)
                self._answers[path] = remembered
        return remembered.cards

    async def check(self) -> bool:
        """Ask whether the hub answers now, unless it was found out of reach a moment ago."""
        async with self._asking:
            await self._answer("?limit=1")
        return bool(self._reached)

    def status(self) -> HubStatus:
        """Return what the last question found, without asking."""
        if self._reached is None:
            return {"status": "checking", "last_check": None}
        return {"status": "online" if self._reached else "offline", "last_check": self._asked_at}

    async def _answer(self, path: str) -> list[ModelCard] | None:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._ask, path)

    def _ask(self, path: str) -> list[ModelCard] | None:
        if self.switched_off or time.monotonic() < self._unreachable_until:
            return None
        self._asked_at = now()
        try:
            request = Request(f"{self.endpoint}/api/models{path}", headers={"Accept": "application/json"})  # noqa: S310
            if token := self._token():
                # Unredirected: wherever the hub sends us, it need not be known there who asks.
                request.add_unredirected_header("Authorization", f"Bearer {token}")
            with urlopen(request, timeout=ANSWER_SECONDS) as answer:  # noqa: S310 - the endpoint is the user's own
                found = json.load(answer)
        except (URLError, TimeoutError, OSError, ValueError) as error:
            if isinstance(error, HTTPError) and error.code in ABSENT and path.startswith("/"):
                self._reached = True
                return []
            log.info("the hub at %s is out of reach: %s", urlsplit(self.endpoint).netloc, error)
            self._reached = False
            self._unreachable_until = time.monotonic() + REMEMBERED_SECONDS
            return None
        self._reached = True
        return [card for model in (found if isinstance(found, list) else [found]) if (card := _card(model))]


def _card(model: Any) -> ModelCard | None:
    """Return the card of a model as the hub describes it; None where even its id is missing."""
    if not isinstance(model, dict) or not isinstance(model.get("id"), str):
        return None
    author, _, name = model["id"].rpartition("/")
    tags = tuple(tag for tag in model.get("tags") or () if isinstance(tag, str))
    total = (model.get("safetensors") or {}).get("total")
    licence = next((tag.partition(":")[2] for tag in tags if tag.startswith("license:")), None)
    return ModelCard(
        model_id=model["id"],
        author=author,
        model_name=name,
        downloads=int(model.get("downloads") or 0),
        likes=int(model.get("likes") or 0),
        tags=tags,
        pipeline_tag=model.get("pipeline_tag"),
        library_name=model.get("library_name"),
        parameters=round(total / MILLION, 3) if isinstance(total, int) else None,
        size_mb=round(total * 2 / 2**20, 1) if isinstance(total, int) else None,
        license=licence,
    )
