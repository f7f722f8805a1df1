"""Presets: what they may say, and how they are kept."""

# Annotations are read by pydantic when the module is imported, so they are not deferred here.
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from backend.clock import Time
from backend.training.plan import MethodName


class Preset(BaseModel):
    """What a preset may say; the app reads zeros and missing numbers as its own defaults."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    name: str = Field(min_length=1, max_length=200)
    description: str = Field(default="", max_length=10_000)
    tags: list[str] = Field(default_factory=list, max_length=50)
    model_name: str = ""
    model_path: str = ""
    dataset_id: str = ""
    dataset_path: str = ""
    peft_method: MethodName = "lora"
    lora_r: int = Field(default=16, ge=0, le=1024)
    lora_alpha: int = Field(default=32, ge=0)
    lora_dropout: float = Field(default=0.05, ge=0, lt=1)
    target_modules: list[str] = Field(default_factory=list)
    learning_rate: float = Field(default=2e-4, ge=0, le=1)
    batch_size: int = Field(default=4, ge=0)
    gradient_accumulation: int = Field(default=1, ge=0)
    epochs: float = Field(default=3, ge=0)
    max_steps: int | None = Field(default=0, ge=-1)
    warmup_steps: int = Field(default=0, ge=0)
    optimizer: Literal["adamw", "sgd"] = "adamw"
    scheduler: Literal["linear", "cosine", "constant"] = "linear"
    weight_decay: float = Field(default=0, ge=0)
    max_grad_norm: float = Field(default=1, ge=0)
    precision: Literal["fp32", "fp16", "bf16"] = "bf16"
    quantization: Literal["8bit", "4bit"] | None = None
    save_steps: int = Field(default=500, ge=0)
    save_total: int = Field(default=3, ge=0)
    eval_steps: int = Field(default=500, ge=0)
    eval_strategy: Literal["steps", "epoch"] = "steps"


class KeptPreset(TypedDict):
    """A preset as it was checked when it was kept, and when that was."""

    id: str
    name: str
    description: str
    tags: list[str]
    model_name: str
    model_path: str
    dataset_id: str
    dataset_path: str
    peft_method: MethodName
    lora_r: int
    lora_alpha: int
    lora_dropout: float
    target_modules: list[str]
    learning_rate: float
    batch_size: int
    gradient_accumulation: int
    epochs: float
    max_steps: int | None
    warmup_steps: int
    optimizer: Literal["adamw", "sgd"]
    scheduler: Literal["linear", "cosine", "constant"]
    weight_decay: float
    max_grad_norm: float
    precision: Literal["fp32", "fp16", "bf16"]
    quantization: Literal["8bit", "4bit"] | None
    save_steps: int
    save_total: int
    eval_steps: int
    eval_strategy: Literal["steps", "epoch"]
    created_at: Time
    updated_at: Time
