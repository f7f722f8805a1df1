"""Conversations as they are kept: what people and models said to each other."""

from __future__ import annotations

from typing import Literal, NotRequired

from typing_extensions import TypedDict

from backend.clock import Time

Role = Literal["system", "user", "assistant"]


class Message(TypedDict):
    """One message; `model_id` is the model that was asked, null if its client did not say."""

    role: Role
    content: str
    timestamp: Time
    model_id: str | None


class Conversation(TypedDict):
    """A conversation; of one that nobody has begun there is no more than its id, and no message."""

    conversation_id: str
    created_at: NotRequired[Time]
    updated_at: NotRequired[Time]
    use_case: NotRequired[str | None]
    messages: list[Message]
