"""Texts and conversations as a model's tokens: as it learns them, and as it is asked. For workers.

A chat template writes every special token itself, so that the tokenizer may add none to what it wrote. To any other
text the tokenizer adds its own, and what a model shall learn to end gets the token that ends it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backend.datasets.rows import Message, as_text
from backend.working import CannotWork, first_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backend.datasets.rows import Example

ANSWERING = "assistant:"  # where a model without a template goes on


def has_template(tokenizer: Any) -> bool:
    """Tell whether a model says how it wants conversations written."""
    return tokenizer.chat_template is not None


def learnt(tokenizer: Any, example: Example, length: int | None = None) -> list[int]:
    """Return an example's tokens as the model learns them, at most `length`.

    Raises CannotWork (messages-not-fitting).
    """
    if not isinstance(example, str) and has_template(tokenizer):
        return _plain(tokenizer, _written(tokenizer, example))[:length]
    tokens: list[int] = tokenizer(as_text(example))["input_ids"]
    end = tokenizer.eos_token_id
    if end is not None and tokens[-1:] != [end]:
        tokens = [*tokens, end]
    return tokens[:length]


def asked(tokenizer: Any, messages: Sequence[Message]) -> list[int]:
    """Return the tokens after which the model answers a conversation. Raises CannotWork (messages-not-fitting)."""
    if has_template(tokenizer):
        return _plain(tokenizer, _written(tokenizer, messages, add_generation_prompt=True))
    tokens: list[int] = tokenizer(f"{as_text(tuple(messages))}\n{ANSWERING}")["input_ids"]
    return tokens


def _plain(tokenizer: Any, text: str) -> list[int]:
    tokens: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return tokens


def _written(tokenizer: Any, messages: Sequence[Message], **how: bool) -> str:
    import jinja2

    said = [{"role": message.role, "content": message.content} for message in messages]
    try:
        return str(tokenizer.apply_chat_template(said, tokenize=False, **how))
    except jinja2.TemplateError as error:  # templates refuse roles that they do not know, or that come out of turn
        message = f"The model's chat template refuses the messages: {first_line(error)}"
        raise CannotWork("messages-not-fitting", message, "Give the roles that it knows, in their order.") from error
