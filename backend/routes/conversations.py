"""What people and models said to each other."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from backend.clock import now
from backend.documents import NAME
from backend.services import Services, services

router = APIRouter(prefix="/api/inference")

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
    if said.role == "assistant" and said.model_id:
        # The app sends the answer before this one: what the model said last is the truth.
        content = parts.inference.last_answer(said.model_id) or content
    message = {"role": said.role, "content": content, "timestamp": now(), "model_id": said.model_id}

    def add(document: dict[str, Any] | None) -> dict[str, Any]:
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
