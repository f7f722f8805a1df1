"""What a training will need, by formulas that fit on this page. Pure: no machine is asked, nothing is measured.

A decoder of P parameters is taken to have the shape that published ones have: depth = width / 128, so that
P = 12 · depth · width² gives width = ∛(128 P / 12). For 7 billion that says 4,211 by 33; Llama 2 has 4,096 by 32.

Memory of one training, in bytes:
  weights      P × bytes of one weight (4, 2, 1 or ½)
  adapter      its numbers × 16: a 32-bit weight, its gradient, and Adam's two moments
  tokens       of every example in a batch; prompt tuning's own come before each, as further positions
  activations  tokens in a batch × depth × width × 34 (Korthikanti et al., 2022, without attention scores, 16-bit);
               with gradient checkpointing × 2 for each layer, and 34 for the one at work; DoRA keeps two more values
               of what each linear layer gives, 10⅓ widths a layer of a Llama: 41 more
  logits       tokens in a batch × 50,000 words × 8: 32-bit values and their gradient

Numbers of an adapter, for the linear layers of a Llama: four of width by width, three of width by 8/3 width:
  LoRA, its like   r for each input and each output of each linear layer: 19 widths a layer
  IA³              one for each key, each value and each input of the last linear layer: 4⅔ widths a layer
  prefix tuning    a key and a value for each of its tokens: 2 widths a layer
  prompt tuning    a vector for each of its tokens: 1 width in all

Time: 4 × P floating-point operations a token: 2 forwards, 2 backwards through frozen weights, which get no gradient.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backend.training.plan import TrainingPlan

if TYPE_CHECKING:
    from backend.training.plan import MethodName, Precision, Quantization

MIB = 1024**2
MIB_IN_GIB = 1024
ADAPTER_BYTES = 16
ACTIVATION_BYTES = 34
DORA_BYTES = 41
CHECKPOINT_BYTES = 2
LOGIT_BYTES = 8
WORDS = 50_000
OPERATIONS_PER_TOKEN = 4
PUBLISHED_BYTES = 2  # of a weight, as most models are published
WEIGHT_BYTES = {"fp32": 4.0, "fp16": 2.0, "bf16": 2.0}
QUANTIZED_BYTES = {"8bit": 1.0, "4bit": 0.5}

# Operations a second that trainings reach, not the peak of a data sheet: by NVIDIA's compute capability, and a core.
GPU_RATES = ((9.0, 200e12), (8.0, 40e12), (7.0, 15e12), (0.0, 4e12))
CORE_RATE = 20e9


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A training, as far as memory and time depend on it. Names as in a training plan."""

    parameters: float
    batch_size: int
    sequence_length: float
    method: MethodName = "lora"
    precision: Precision = "fp32"
    quantization: Quantization = "none"
    gradient_checkpointing: bool = False
    r: int = TrainingPlan.r
    virtual_tokens: int = TrainingPlan.virtual_tokens


def width_and_depth(parameters: float) -> tuple[float, float]:
    """Return the width and the number of layers that a decoder of this size is taken to have."""
    width = (128 * parameters / 12) ** (1 / 3)
    return width, width / 128


def adapter_parameters(work: Workload) -> float:
    """Return how many numbers of its own an adapter has, if it is on every layer that is usual for its method."""
    width, depth = width_and_depth(work.parameters)
    match work.method:
        case "prompt-tuning":
            return width * work.virtual_tokens
        case "prefix-tuning":
            return 2 * width * depth * work.virtual_tokens
        case "ia3":
            return (4 + 2 / 3) * width * depth
        case _:
            return 19 * width * depth * work.r


def memory_mb(work: Workload) -> float:
    """Return the MiB that a training needs at its peak."""
    width, depth = width_and_depth(work.parameters)
    tokens = work.batch_size * (work.sequence_length + (work.virtual_tokens if work.method == "prompt-tuning" else 0))
    weights = work.parameters * QUANTIZED_BYTES.get(work.quantization, WEIGHT_BYTES[work.precision])
    adapter = adapter_parameters(work) * ADAPTER_BYTES
    layer = ACTIVATION_BYTES + (DORA_BYTES if work.method == "dora" else 0)
    layers = depth * CHECKPOINT_BYTES + layer if work.gradient_checkpointing else depth * layer
    activations = tokens * width * layers * (2 if work.precision == "fp32" else 1)
    return (weights + adapter + activations + tokens * WORDS * LOGIT_BYTES) / MIB


def hours(parameters: float, tokens: float, operations_per_second: float) -> float:
    """Return how long training on so many tokens takes."""
    return OPERATIONS_PER_TOKEN * parameters * tokens / operations_per_second / 3600


def rate(compute_capability: float | None, cores: float) -> float:
    """Return the operations a second to expect of a GPU, or of a processor's cores where there is none (None)."""
    if compute_capability is None:
        return cores * CORE_RATE
    return next(rate for least, rate in GPU_RATES if compute_capability >= least)
