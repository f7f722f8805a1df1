"""In which number formats a model is held and trained. For workers; pure, but for what torch says of the device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backend.working import CannotWork

if TYPE_CHECKING:
    from backend.training.plan import TrainingPlan

# bitsandbytes computes on processors too, far slower than they do without: tests only let it.
QUANTIZING_DEVICES = ["cuda"]
OPTIMIZERS = {"adamw": "adamw_torch_fused", "sgd": "sgd"}  # fused: one kernel for all parameters


def half_of_device(torch: Any) -> Any:
    """Return the half-precision type that the GPU computes in: bfloat16 from Ampere on. None without CUDA."""
    if not torch.cuda.is_available():
        return None
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16


def half_of(torch: Any, plan: TrainingPlan) -> Any:
    """Return the half-precision type to train in, or None for full precision."""
    if plan.precision is None:
        return half_of_device(torch)
    return {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}[plan.precision]


def quantization_of(torch: Any, transformers: Any, plan: TrainingPlan) -> Any:
    """Return how the model's weights are to be quantized, or None. Raises CannotWork where that cannot be computed."""
    if plan.quantization == "none":
        return None
    if ("cuda" if torch.cuda.is_available() else "cpu") not in QUANTIZING_DEVICES:
        message = f"Weights of {plan.quantization} need an NVIDIA GPU, and torch finds none"
        raise CannotWork("quantization-needs-cuda", message, "Choose the method lora, and no quantization.")
    if plan.quantization == "8bit":
        return transformers.BitsAndBytesConfig(load_in_8bit=True)
    return transformers.BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=half_of(torch, plan) or torch.float32,
    )


def optimizer_of(plan: TrainingPlan) -> str:
    """Return the optimizer by transformers' name; over quantized weights one that may move its state off the GPU."""
    if plan.optimizer == "adamw" and plan.quantization != "none":
        return "paged_adamw_32bit"
    return OPTIMIZERS[plan.optimizer]
