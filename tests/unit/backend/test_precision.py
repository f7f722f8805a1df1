"""Number formats by what a GPU can: torch stands for the machine's, which has none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backend.training.plan import TrainingPlan
from backend.training.precision import half_of, half_of_device, optimizer_of, quantization_of
from backend.working import CannotWork

PLAN = TrainingPlan(name="a", model="m", dataset=Path("/d"), method="qlora", quantization="4bit")
TRANSFORMERS = SimpleNamespace(BitsAndBytesConfig=lambda **settings: settings)


def torch_with(gpu: str | None) -> Any:
    """Return as much of torch as is asked, on a machine with this GPU."""

    def is_bf16_supported(*, including_emulation: bool) -> bool:
        return including_emulation or gpu == "Ampere"

    cuda = SimpleNamespace(is_available=lambda: gpu is not None, is_bf16_supported=is_bf16_supported)
    return SimpleNamespace(bfloat16="bfloat16", float16="float16", float32="float32", cuda=cuda)


@pytest.mark.parametrize(("gpu", "half"), [("Ampere", "bfloat16"), ("Turing", "float16"), (None, None)])
def test_the_half_precision_is_the_one_that_the_gpu_computes_itself(gpu: str | None, half: str | None) -> None:
    assert half_of_device(torch_with(gpu)) == half
    assert half_of(torch_with(gpu), PLAN) == half
    assert half_of(torch_with(gpu), replace(PLAN, precision="fp32")) is None


@pytest.mark.parametrize(("gpu", "computed"), [("Ampere", "bfloat16"), ("Turing", "float16")])
def test_qlora_holds_weights_as_its_authors_do_and_computes_in_what_the_gpu_has(gpu: str, computed: str) -> None:
    assert quantization_of(torch_with(gpu), TRANSFORMERS, PLAN) == {
        "load_in_4bit": True,
        "bnb_4bit_quant_type": "nf4",
        "bnb_4bit_use_double_quant": True,
        "bnb_4bit_compute_dtype": computed,
    }
    assert quantization_of(torch_with(gpu), TRANSFORMERS, replace(PLAN, quantization="8bit")) == {"load_in_8bit": True}
    assert optimizer_of(PLAN) == "paged_adamw_32bit"


def test_without_cuda_quantized_weights_are_refused_and_others_are_not() -> None:
    with pytest.raises(CannotWork) as refused:
        quantization_of(torch_with(None), TRANSFORMERS, PLAN)
    assert refused.value.code == "quantization-needs-cuda"
    assert "NVIDIA GPU" in refused.value.message
    plain = replace(PLAN, method="lora", quantization="none")
    assert quantization_of(torch_with(None), TRANSFORMERS, plain) is None
    assert optimizer_of(plain) == "adamw_torch_fused"
