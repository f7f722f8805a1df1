"""One loaded model, in a process of its own: `python -m backend.inference.worker MODEL ADAPTER PARENT`.

ADAPTER is a folder, or empty. It tells {"event": "loaded", …} or {"event": "failed", …} once, and then answers what
it reads on stdin, JSON lines: {"id": …, "act": "generate", …} with a stream of `token` and one `complete` or `failed`,
each with the request's id; {"id": …, "act": "cancel"} completes a generation early. It ends when stdin does.
"""

from __future__ import annotations

import json
import queue
import sys
import threading
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import psutil

from backend.datasets.rows import Message
from backend.errors import BackendError
from backend.models.loading import load_model, load_tokenizer
from backend.models.tokens import asked as tokens_asked
from backend.training.memory import says_out_of_memory
from backend.training.precision import half_of_device
from backend.working import CannotWork, begin, first_line

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1024**2


class Requests:
    """What is asked on stdin: generations wait in a queue, cancellations count at once."""

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._cancelled: set[str] = set()  # those that have not been answered yet
        threading.Thread(target=self._read, name="requests", daemon=True).start()

    def next(self) -> dict[str, Any] | None:
        """Return the next generation that is asked for; None when stdin has ended."""
        return self._waiting.get()

    def is_cancelled(self, request_id: str) -> bool:
        """Tell whether a generation is not wanted any more."""
        return request_id in self._cancelled

    def answered(self, request_id: str) -> None:
        """Forget whether a generation was cancelled."""
        self._cancelled.discard(request_id)

    def _read(self) -> None:
        for line in sys.stdin:
            request = json.loads(line)
            if request["act"] == "cancel":
                self._cancelled.add(request["id"])
            else:
                self._waiting.put(request)
        self._waiting.put(None)


class Model:
    """A base model with its tokenizer, and the adapter on it if there is one."""

    def __init__(self, name: str, adapter: str) -> None:
        import torch

        self.device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        self.tokenizer = load_tokenizer(name)
        self.model = load_model(name, dtype=half_of_device(torch) or torch.float32)
        self.adapted = bool(adapter)
        if adapter:
            self.model = _adapted(self.model, adapter)
        self.model.to(self.device).eval()

    def memory_mb(self) -> float:
        """Return the MiB of main memory and of the GPU that this process holds."""
        import torch

        gpu = torch.cuda.memory_allocated() if torch.cuda.is_available() else 0
        return round((psutil.Process().memory_info().rss + gpu) / MIB, 1)

    def generate(self, asked: dict[str, Any], token: Callable[[str], None], cancelled: Callable[[], bool]) -> int:
        """Generate; give each piece of text to `token`; return the number of tokens.

        Raises CannotWork (messages-not-fitting, prompt-not-fitting, out-of-memory, generation-failed).
        """
        import torch
        import transformers

        prompt = self._prompt(asked)
        length = len(prompt)
        room = getattr(self.model.config, "max_position_embeddings", None)
        if not length or (room is not None and length >= room):
            message = f"The prompt has {length} tokens, and the model takes 1 to {room or 'any number of'}"
            raise CannotWork("prompt-not-fitting", message, "Write a prompt of fitting length.")
        wanted = asked["max_tokens"] if room is None else min(asked["max_tokens"], room - length)
        until = time.monotonic() + asked["seconds"]
        if asked["seed"] is not None:
            transformers.set_seed(asked["seed"])
        base_only = self.adapted and not asked["adapter"]
        inputs = torch.tensor([prompt], device=self.device)
        try:
            with self.model.disable_adapter() if base_only else nullcontext(), torch.no_grad():
                output = self.model.generate(
                    input_ids=inputs,
                    attention_mask=torch.ones_like(inputs),
                    **_sampling(asked),
                    max_new_tokens=wanted,
                    repetition_penalty=asked["repetition_penalty"],
                    pad_token_id=self.tokenizer.pad_token_id,
                    streamer=_streamer(transformers, self.tokenizer, token),
                    stopping_criteria=[lambda *_: cancelled() or time.monotonic() > until],
                )
        except torch.AcceleratorError:  # the GPU computes nothing more for this process
            raise
        except (RuntimeError, ValueError, IndexError) as error:
            raise _explained(torch, error) from error
        generated: int = output.shape[1] - length
        return generated

    def _prompt(self, asked: dict[str, Any]) -> list[int]:
        if asked["messages"] is not None:
            return tokens_asked(self.tokenizer, [Message(**one) for one in asked["messages"]])
        tokens: list[int] = self.tokenizer(asked["prompt"])["input_ids"]
        return tokens


def main(arguments: list[str]) -> int:
    """Load the model and serve it until stdin ends; return the exit status."""
    name, adapter, parent = arguments
    stream = begin(int(parent))

    def tell(event: str, **facts: Any) -> None:
        print(json.dumps({"event": event, **facts}), file=stream, flush=True)

    try:
        model = Model(name, adapter)
    except BackendError as error:
        tell("failed", error=error.to_dict())
        return 1
    tell("loaded", memory_mb=model.memory_mb(), device=model.device)
    requests = Requests()
    while (asked := requests.next()) is not None:
        _answer(model, asked, requests, tell)
        requests.answered(asked["id"])
    return 0


def _answer(model: Model, asked: dict[str, Any], requests: Requests, tell: Callable[..., None]) -> None:
    request_id, pieces, began = asked["id"], list[str](), time.monotonic()

    def token(text: str) -> None:
        pieces.append(text)
        tell("token", id=request_id, token=text)

    try:
        tokens = model.generate(asked, token, lambda: requests.is_cancelled(request_id))
    except BackendError as error:
        tell("failed", id=request_id, error=error.to_dict())
        return
    tell("complete", id=request_id, text="".join(pieces), tokens=tokens, seconds=time.monotonic() - began)


def _adapted(base: Any, adapter: str) -> Any:
    import peft

    try:
        return peft.PeftModel.from_pretrained(base, adapter, local_files_only=True)
    except (OSError, ValueError, RuntimeError) as error:  # what peft raises for no adapter, or another model's
        message = f"The adapter {adapter} cannot be put on this model: {first_line(error)}"
        raise CannotWork("adapter-not-loaded", message, "Choose an adapter that was trained on this model.") from error


def _explained(torch: Any, error: Exception) -> CannotWork:
    """Return why one generation failed; the model can be asked again."""
    if isinstance(error, torch.OutOfMemoryError) or says_out_of_memory(error):
        message = f"Memory ran out: {first_line(error)}"
        return CannotWork("out-of-memory", message, "Choose a shorter prompt or a smaller model.")
    message = f"The model cannot generate with this prompt and these settings: {first_line(error)}"
    return CannotWork("generation-failed", message, "Choose settings closer to their defaults, or another prompt.")


def _sampling(asked: dict[str, Any]) -> dict[str, Any]:
    if asked["temperature"] == 0:
        return {"do_sample": False}
    chosen = {name: asked[name] for name in ("temperature", "top_p", "top_k")}
    return {"do_sample": True, **chosen}


def _streamer(transformers: Any, tokenizer: Any, token: Callable[[str], None]) -> Any:
    """Return a streamer that gives text on as soon as it makes whole words or characters."""

    class Streamer(transformers.TextStreamer):  # type: ignore[misc]  # transformers is imported late
        def on_finalized_text(self, text: str, stream_end: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002
            if text:
                token(text)

    return Streamer(tokenizer, skip_prompt=True, skip_special_tokens=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
