"""What people and models said to each other."""

from typing import Annotated, Any, Literal

from fastapi import Depends
from pydantic import BaseModel, Field

from backend.clock import now
from backend.documents import NAME
from backend.inference.models import Models
from backend.routing import Router
from backend.services import Services, services

router = Router(prefix="/api/inference")

Parts = Annotated[Services, Depends(services)]


class Said(BaseModel):
    """One message of a conversation, which the first message makes."""

    conversation_id: str = Field(pattern=f"^{NAME.pattern}$")
    role: Literal["system", "user", "assistant"]
    content: str | None = Field(default="", max_length=1_000_000)
    model_id: str | None = None
    use_case: str | None = None


@router.get("/conversations")
def conversations(parts: Parts) -> list[dict[str, Any]]:
    """List conversations without their messages, the last one that somebody spoke in first."""
    found = [
        {name: value for name, value in document.items() if name != "messages"}
        | {"message_count": len(document["messages"])}
        for document in parts.conversations.all()
    ]
    return sorted(found, key=lambda one: str(one["updated_at"]), reverse=True)


@router.post("/conversation/save")
def save(said: Said, parts: Parts) -> dict[str, Any]:
    """Add a message."""
    content = said.content or ""
    message = {"role": said.role, "content": content, "timestamp": now(), "model_id": said.model_id}

    def add(document: dict[str, Any] | None) -> dict[str, Any]:
        if said.role == "assistant" and said.model_id and document is not None:
            message["content"] = _answer(content, document["messages"], said.model_id, parts.inference)
        begun = document or {
            "conversation_id": said.conversation_id,
            "created_at": message["timestamp"],
            "use_case": said.use_case,
            "messages": [],
        }
        return begun | {"updated_at": message["timestamp"], "messages": [*begun["messages"], message]}

    document = parts.conversations.change(said.conversation_id, add)
    return {"conversation_id": said.conversation_id, "message_count": len(document["messages"])}


@router.get("/conversation/{conversation_id}")
def conversation(conversation_id: str, parts: Parts) -> dict[str, Any]:
    """Return a conversation; one that nobody has begun is empty."""
    return parts.conversations.find(conversation_id) or {"conversation_id": conversation_id, "messages": []}


@router.delete("/conversation/{conversation_id}")
def delete(conversation_id: str, parts: Parts) -> dict[str, str]:
    """Remove a conversation."""
    parts.conversations.delete(conversation_id)
    return {"conversation_id": conversation_id, "status": "deleted"}


def _answer(content: str, messages: list[dict[str, Any]], model_id: str, models: Models) -> str:
    """Return what a model said: the app sends the answer before that one, and an empty text at first."""
    before = next((one["content"] for one in reversed(messages) if one["role"] == "assistant"), "")
    asked = next((one["content"] for one in reversed(messages) if one["role"] == "user"), "")
    return (models.answer_to(model_id, asked) or content) if content == before else content
