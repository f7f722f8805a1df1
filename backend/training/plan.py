"""What one training is to do. Plain values only: the server makes it, a file carries it, a worker reads it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Literal

from backend.annotations import DEFAULTS_TOLD

Precision = Literal["fp32", "bf16", "fp16"]
Quantization = Literal["none", "8bit", "4bit"]
MethodName = Literal["lora", "qlora", "dora", "rslora", "pissa", "ia3", "prefix-tuning", "prompt-tuning"]
RENDEZVOUS_ID = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"  # it names a folder on the machines that join
PROMPT_METHODS = frozenset({"prefix-tuning", "prompt-tuning"})


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """The settings of one training.

    `model` is a folder or a hub id. `target_modules` of None means every linear layer but the head, or what is usual
    for the architecture (IA³). `max_steps` of None means that `num_epochs` decides. Steps are the optimizer's;
    `max_seq_length` and `virtual_tokens` count tokens. `validation_split` is the share of the examples that is kept
    for validation, each `eval_steps`, or each epoch where that is None; `save_steps` of None: a checkpoint every few
    minutes. `precision` of None means what the device does best.

    `nproc_per_node` processes train on this machine, and `nnodes` machines train together, each process with batches
    of `batch_size`. Several machines meet at `rdzv_endpoint`, HOST:PORT, an address of this one, under `rdzv_id`,
    which of None is the job's own.
    """

    __pydantic_config__: ClassVar = DEFAULTS_TOLD

    name: str
    model: str
    dataset: Path
    method: MethodName = "lora"
    r: int = 16
    lora_alpha: int = 32
    lora_dropout: float = 0.05
    target_modules: tuple[str, ...] | None = None
    virtual_tokens: int = 20
    quantization: Quantization = "none"
    learning_rate: float = 2e-4
    lr_scheduler: str = "linear"
    optimizer: Literal["adamw", "sgd"] = "adamw"
    warmup_steps: int = 0
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    batch_size: int = 4
    gradient_accumulation: int = 1
    gradient_checkpointing: bool = False
    num_epochs: float = 3.0
    max_steps: int | None = None
    max_seq_length: int = 512
    validation_split: float = 0.0
    eval_steps: int | None = None
    save_steps: int | None = None
    precision: Precision | None = None
    seed: int = 42
    nproc_per_node: int = 1
    nnodes: int = 1
    rdzv_endpoint: str | None = None
    rdzv_id: str | None = None

    @property
    def is_distributed(self) -> bool:
        """Whether more than one process trains."""
        return self.nproc_per_node > 1 or self.nnodes > 1

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as JSON values."""
        return asdict(self) | {"dataset": str(self.dataset)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainingPlan:
        """Return the plan that `to_dict` described, maybe in an earlier version, which had fewer fields."""
        modules = values["target_modules"]
        known = {field.name for field in fields(cls)}
        return cls(
            **{name: value for name, value in values.items() if name in known}
            | {
                "dataset": Path(values["dataset"]),
                "target_modules": None if modules is None else tuple(modules),
            }
        )


def split_endpoint(endpoint: str) -> tuple[str, int]:
    """Return host and port of HOST:PORT. Raises ValueError."""
    address, _, port = endpoint.partition(":")
    if not address or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"{endpoint!r} is no HOST:PORT with a port from 1 to 65535")
    return address, int(port)
