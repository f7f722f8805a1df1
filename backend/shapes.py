"""What the core routes answer, for the API's description. The sweep of the tests holds the answers to it.

Only what clients rely on is named: there may be more.
"""

# Annotations are read by pydantic when the module is imported, so they are not deferred here.
from typing import Any, Literal

from pydantic import BaseModel


class SmartDefaults(BaseModel):
    """Hyper-parameters and what they will cost: MiB, hours, per cent. The app does sums with all of the numbers."""

    batch_size: int
    gradient_accumulation_steps: int
    effective_batch_size: int
    learning_rate: float
    precision: Literal["fp32", "fp16", "bf16"]
    quantization: Literal["none", "8bit", "4bit"]
    num_epochs: float
    max_steps: int | None
    estimated_memory_mb: float
    memory_utilization_percent: float
    estimated_training_time_hours: float
    gradient_checkpointing: bool


def answers(shape: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route that answers in this shape."""
    return {200: {"model": shape}}
