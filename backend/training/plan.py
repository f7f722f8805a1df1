"""What one training is to do. Plain values only: the server makes it, a file carries it, a worker reads it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

Precision = Literal["fp32", "bf16", "fp16"]


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """The settings of one LoRA training.

    `model` is a folder or a hub id. `target_modules` of None means every linear layer but the head.
    `max_steps` of None means that `num_epochs` decides; `warmup_steps`, `max_seq_length` count optimizer steps
    and tokens. `precision` of None means what the device does best.
    """

    name: str
    model: str
    dataset: Path
    r: int = 16
    lora_alpha: int = 32
    lora_dropout: float = 0.05
    target_modules: tuple[str, ...] | None = None
    learning_rate: float = 2e-4
    lr_scheduler: str = "linear"
    warmup_steps: int = 0
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    batch_size: int = 4
    gradient_accumulation: int = 1
    num_epochs: float = 3.0
    max_steps: int | None = None
    max_seq_length: int = 512
    precision: Precision | None = None
    seed: int = 42

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as JSON values."""
        return asdict(self) | {"dataset": str(self.dataset)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainingPlan:
        """Return the plan that `to_dict` described."""
        modules = values["target_modules"]
        return cls(
            **values
            | {
                "dataset": Path(values["dataset"]),
                "target_modules": None if modules is None else tuple(modules),
            }
        )


def is_folder(model: str) -> bool:
    """Tell a model's folder from a hub id: a folder is named by its full path."""
    return Path(model).is_absolute()
