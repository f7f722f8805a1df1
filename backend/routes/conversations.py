"""What people and models said to each other."""

from typing import Annotated, Literal

from fastapi import Depends
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from backend.clock import Time, now
from backend.conversations import Conversation, Message, Role
from backend.documents import NAME
from backend.inference.models import Models
from backend.routing import Router
from backend.services import Services, services

router = Router(prefix="/api/inference")

Parts = Annotated[Services, Depends(services)]


class Saying(BaseModel):
    """One message of a conversation, which the first message makes."""

    conversation_id: str = Field(pattern=f"^{NAME.pattern}$")
    role: Role
    content: str | None = Field(default="", max_length=1_000_000)
    model_id: str | None = None
    use_case: str | None = None


class ListedConversation(TypedDict):
    """A conversation without its messages."""

    conversation_id: str
    created_at: Time
    updated_at: Time
    use_case: str | None
    message_count: int


class Saved(TypedDict):
    """How many messages the conversation has now."""

    conversation_id: str
    message_count: int


class DeletedConversation(TypedDict):
    """What had this id is gone."""

    conversation_id: str
    status: Literal["deleted"]


@router.get("/conversations")
def conversations(parts: Parts) -> list[ListedConversation]:
    """List conversations without their messages, the last one that somebody spoke in first."""
    found: list[ListedConversation] = [
        {
            "conversation_id": one["conversation_id"],
            "created_at": one["created_at"],
            "updated_at": one["updated_at"],
            "use_case": one["use_case"],
            "message_count": len(one["messages"]),
        }
        for one in parts.conversations.all()
    ]
    return sorted(found, key=lambda one: one["updated_at"], reverse=True)


@router.post("/conversation/save")
def save(said: Saying, parts: Parts) -> Saved:
    """Add a message."""
    content = said.content or ""
    message: Message = {"role": said.role, "content": content, "timestamp": now(), "model_id": said.model_id}

    def add(document: Conversation | None) -> Conversation:
        if said.role == "assistant" and said.model_id and document is not None:
            message["content"] = _answer(content, document["messages"], said.model_id, parts.inference)
        begun: Conversation = document or {
            "conversation_id": said.conversation_id,
            "created_at": message["timestamp"],
            "use_case": said.use_case,
            "messages": [],
        }
        return {**begun, "updated_at": message["timestamp"], "messages": [*begun["messages"], message]}

    document = parts.conversations.change(said.conversation_id, add)
    return {"conversation_id": said.conversation_id, "message_count": len(document["messages"])}


@router.get("/conversation/{conversation_id}")
def conversation(conversation_id: str, parts: Parts) -> Conversation:
    """Return a conversation; one that nobody has begun is empty."""
    return parts.conversations.find(conversation_id) or {"conversation_id": conversation_id, "messages": []}


@router.delete("/conversation/{conversation_id}")
def delete(conversation_id: str, parts: Parts) -> DeletedConversation:
    """Remove a conversation."""
    parts.conversations.delete(conversation_id)
    return {"conversation_id": conversation_id, "status": "deleted"}


def _answer(content: str, messages: list[Message], model_id: str, models: Models) -> str:
    """Return what a model said: the app sends the answer before that one, and an empty text at first."""
    before = next((one["content"] for one in reversed(messages) if one["role"] == "assistant"), "")
    asked = next((one["content"] for one in reversed(messages) if one["role"] == "user"), "")
    return (models.answer_to(model_id, asked) or content) if content == before else content
