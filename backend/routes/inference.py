"""Ask models: load, generate, stream, compare, unload."""

import asyncio
import json
from collections.abc import Coroutine
from contextlib import aclosing, suppress
from typing import Annotated, Any, Literal, TypeVar

from fastapi import Depends, Request, Response, WebSocket, WebSocketDisconnect
from pydantic import AfterValidator, BaseModel, Field, ValidationError, model_validator
from starlette.requests import ClientDisconnect
from starlette.types import Receive
from typing_extensions import TypedDict

from backend.errors import BackendError, RequestInvalid
from backend.inference.models import Loaded, require_folders
from backend.inference.process import Answer, LoadedModel, Question
from backend.models.names import model_name
from backend.routing import Router
from backend.services import Services, services

router = Router(prefix="/api/inference")

Parts = Annotated[Services, Depends(services)]
Result = TypeVar("Result")
GONE = 499  # as nginx logs it: nobody reads this answer


class Load(BaseModel):
    """A base model, by folder or hub id, and the folder or the id of an adapter on it."""

    model_id: Annotated[str, AfterValidator(model_name)]
    adapter_path: str | None = None
    use_case: str | None = None


class Said(BaseModel):
    """One message of a conversation."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str


class Generate(BaseModel):
    """What to generate: from `prompt` as it stands, or from `messages` by the model's chat template.

    Temperature 0 takes the likeliest word each time. Fields that are null have their defaults.
    """

    model_id: str = Field(min_length=1)
    prompt: str = ""
    messages: list[Said] | None = Field(default=None, min_length=1)
    max_tokens: int = Field(default=256, ge=1, le=32_768)
    temperature: Annotated[float, Field(ge=0.01, le=5)] | Literal[0] = 0.7  # of less, a computer's floats overflow
    top_p: float = Field(default=0.9, gt=0, le=1)
    top_k: int = Field(default=50, ge=0, le=100_000)
    repetition_penalty: float = Field(default=1.1, ge=0.1, le=10)
    seed: int | None = Field(default=None, ge=0, lt=2**32)

    @model_validator(mode="before")
    @classmethod
    def _leave_out_nulls(cls, body: Any) -> Any:
        return {name: value for name, value in body.items() if value is not None} if isinstance(body, dict) else body

    def question(self, *, adapter: bool = True) -> Question:
        """Return the question that the body asks."""
        return Question(**self.model_dump(exclude={"model_id"}), adapter=adapter)


class LoadedModels(TypedDict):
    """The models that can answer, the first loaded first."""

    models: list[Loaded]


class Generated(TypedDict):
    """What a model answered, in how many tokens and how long."""

    model_id: str
    response: str
    tokens_generated: int
    generation_time_seconds: float
    tokens_per_second: float


class Compared(TypedDict):
    """What the base model answers alone, and with its adapter."""

    base: Generated
    adapter: Generated


@router.post("/load")
async def load(body: Load, parts: Parts) -> Loaded:
    """Load a model into a process of its own; `model_id` of the answer is what to call it by.

    Waits for the rest of the engine while that arrives: GET /api/engine says how far it has come. That a folder is
    none is said at once.
    """
    adapter = body.adapter_path or ""
    if adapter and (own := parts.folders.adapters / adapter).parent == parts.folders.adapters and own.is_dir():
        adapter = str(own)
    await asyncio.to_thread(require_folders, body.model_id, adapter)
    await parts.engine.rest()
    return (await parts.inference.load(body.model_id, adapter, body.use_case)).to_dict()


@router.get("/models/loaded")
async def loaded(parts: Parts) -> LoadedModels:
    """List the models that can answer."""
    return {"models": [entry.to_dict() for entry in parts.inference.loaded()]}


@router.post("/models/{model_id:path}/unload")
async def unload(model_id: str, parts: Parts) -> Loaded:
    """End a model's process, which frees all its memory."""
    return {**(await parts.inference.unload(model_id)).to_dict(), "status": "unloaded"}


@router.post("/generate")
async def generate(body: Generate, request: Request, parts: Parts) -> Generated | Response:
    """Generate, and answer when it is done; a client that goes away cancels."""
    try:
        answer = await _unless_gone(request.receive, _whole(parts.inference.get(body.model_id).model, body.question()))
    except ClientDisconnect:
        return Response(status_code=GONE)
    return _told(body.model_id, answer)


@router.post("/compare")
async def compare(body: Generate, request: Request, parts: Parts) -> Compared | Response:
    """Generate twice: by the base model alone, and with its adapter. A client that goes away cancels."""
    entry = parts.inference.get(body.model_id)
    if not entry.adapter:
        reason = "this model was loaded without an adapter to compare with"
        raise RequestInvalid([{"place": "body.model_id", "reason": reason}])
    try:
        base = await _unless_gone(request.receive, _whole(entry.model, body.question(adapter=False)))
        adapted = await _unless_gone(request.receive, _whole(entry.model, body.question()))
    except ClientDisconnect:
        return Response(status_code=GONE)
    return {"base": _told(entry.alias, base), "adapter": _told(entry.alias, adapted)}


@router.websocket("/stream")
async def stream(socket: WebSocket, parts: Parts) -> None:
    """Generate, and tell each piece of text; a client that goes away cancels."""
    await socket.accept()
    with suppress(WebSocketDisconnect):
        while True:
            await _stream_one(socket, await socket.receive_text(), parts)


async def _stream_one(socket: WebSocket, request: str, parts: Services) -> None:
    """Answer one request with tokens and exactly one `complete` or `error`. Raises WebSocketDisconnect."""
    try:
        body = Generate.model_validate(json.loads(request))
        model = parts.inference.get(body.model_id).model
    except (ValueError, RecursionError, BackendError) as error:
        await _send_error(socket, error)
        return
    try:
        await _unless_gone(socket.receive, _tell(socket, model, body.question()))
    except ClientDisconnect as error:
        raise WebSocketDisconnect from error


async def _unless_gone(receive: Receive, work: Coroutine[Any, Any, Result]) -> Result:
    """Return what the work returns; give it up when its client goes away, the only way to cancel that the app has.

    Raises ClientDisconnect.
    """

    async def leave() -> None:
        while (await receive())["type"] not in {"http.disconnect", "websocket.disconnect"}:
            pass

    working, leaving = asyncio.create_task(work), asyncio.create_task(leave())
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return await working
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _tell(socket: WebSocket, model: LoadedModel, question: Question) -> None:
    await socket.send_json({"type": "start"})
    try:
        async with aclosing(model.generate(question)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Answer):
                    await socket.send_json({"type": "complete", "total_tokens": piece.tokens, "seconds": piece.seconds})
                else:
                    await socket.send_json({"type": "token", "token": piece})
    except BackendError as error:
        await _send_error(socket, error)


async def _send_error(socket: WebSocket, error: Exception) -> None:
    if isinstance(error, BackendError):
        await socket.send_json({"type": "error", "error": f"{error.message}. {error.remedy}", **error.to_dict()})
        return
    reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
    await socket.send_json({"type": "error", "error": f"This is no request to generate: {reason}"})


async def _whole(model: LoadedModel, question: Question) -> Answer:
    async with aclosing(model.generate(question)) as pieces:
        async for piece in pieces:
            if isinstance(piece, Answer):
                return piece
    raise AssertionError("a generation ends with an answer or an error")


def _told(model_id: str, answer: Answer) -> Generated:
    return {
        "model_id": model_id,
        "response": answer.text,
        "tokens_generated": answer.tokens,
        "generation_time_seconds": round(answer.seconds, 4),
        "tokens_per_second": round(answer.tokens / answer.seconds, 2) if answer.seconds else 0.0,
    }
