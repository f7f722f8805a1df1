"""The bodies that the app sends to start a training: its wizard's, its types', and our own."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from backend.schemas import StartTraining
from backend.training.plan import TrainingPlan

MINE = {"model": "owner/name", "dataset": "/rows.jsonl"}


def plan(**body: Any) -> TrainingPlan:
    asked = StartTraining.model_validate(body)
    return asked.plan(Path(asked.dataset))


def test_the_wizards_nested_state_is_understood() -> None:
    found = plan(
        currentStep=5,
        profile={"id": "chatbot"},
        dataset={"id": "0123456789abcdef", "path": "rows.jsonl", "format": "jsonl"},
        model={"model_id": "acme/tiny", "parameters": 1.1},
        estimates={"duration": {"min": 1}},
        validation=[{"field": "x", "level": "warning"}],
        config={
            "loraR": 8,
            "loraAlpha": 16,
            "learningRate": 1e-3,
            "learning_rate": 2e-3,
            "epochs": 2,
            "warmupSteps": 30,
            "maxGradNorm": 0.5,
            "batch_size": 2,
            "gradient_accumulation_steps": 16,
            "max_steps": None,
            "precision": "fp32",
            "quantization": "none",
            "gradient_checkpointing": True,
            "peft": {"algorithm": "dora", "r": 4, "lora_alpha": 8, "lora_dropout": 0.1, "target_modules": ["q_proj"]},
        },
    )
    assert (found.model, str(found.dataset)) == ("acme/tiny", "0123456789abcdef")
    assert (found.method, found.r, found.lora_alpha, found.target_modules) == ("dora", 4, 8, ("q_proj",))
    assert (found.learning_rate, found.num_epochs, found.warmup_steps) == (2e-3, 2, 30)
    assert (found.batch_size, found.gradient_accumulation, found.gradient_checkpointing) == (2, 16, True)


@pytest.mark.parametrize(
    ("given", "method", "quantization"),
    [
        ({"peftMethod": "prefix_tuning"}, "prefix-tuning", "none"),
        ({"peft_method": "qlora"}, "qlora", "4bit"),
        ({"algorithm": "LoRA", "quantization": "nf4"}, "lora", "4bit"),
        ({"quantization": "int8"}, "lora", "8bit"),
        ({"peft": None, "quantization": None}, "lora", "none"),
    ],
)
def test_methods_and_quantizations_go_by_the_apps_names(given: dict[str, Any], method: str, quantization: str) -> None:
    found = plan(**MINE, **given)
    assert (found.method, found.quantization) == (method, quantization)


def test_a_setting_that_is_left_out_suits_the_method_and_says_why() -> None:
    asked = StartTraining.model_validate(MINE | {"method": "prompt-tuning"})
    assert asked.plan(Path("/rows.jsonl")).learning_rate == 3e-2
    assert "prompt tuning" in asked.chosen(None)["learning_rate"].why
    large = asked.chosen(30e9)["learning_rate"]
    assert large.value == 1.5e-2
    assert "30.0 billion" in large.why
    assert asked.plan(Path("/rows.jsonl"), 30e9).learning_rate == large.value


def test_what_the_request_says_is_nothing_that_we_chose() -> None:
    asked = StartTraining.model_validate(MINE | {"method": "ia3", "learning_rate": 0.5})
    assert asked.plan(Path("/rows.jsonl"), 30e9).learning_rate == 0.5
    assert asked.chosen(30e9) == {}


@pytest.mark.parametrize("field", ["num_epochs", "weight_decay", "max_grad_norm", "learning_rate", "lora_dropout"])
@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_no_setting_may_be_infinite_or_no_number(field: str, value: float) -> None:
    with pytest.raises(ValidationError):
        plan(**MINE | {field: value})


@pytest.mark.parametrize("steps", [-1, None])
def test_no_number_of_steps_means_that_the_epochs_decide(steps: int | None) -> None:
    assert plan(**MINE, max_steps=steps).max_steps is None


@pytest.mark.parametrize(
    "wrong", [{"method": "magic"}, {"quantization": "3bit"}, {"validation_split": 0.9}, {"model": {}}, {"dataset": {}}]
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        plan(**MINE | wrong)


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"nnodes": 2}, "2 machines need HOST:PORT"),
        ({"rdzv_endpoint": "10.0.0.1:29500"}, "one machine (nnodes) meets nobody"),
        ({"nnodes": 2, "rdzv_endpoint": "10.0.0.1"}, "'10.0.0.1' is no HOST:PORT"),
        ({"nnodes": 2, "rdzv_endpoint": "10.0.0.1:70000"}, "with a port from 1 to 65535"),
        ({"nnodes": 2, "rdzv_endpoint": "10.0.0.1:29500", "rdzv_id": "../up"}, "rdzv_id"),
        ({"nproc_per_node": 0}, "nproc_per_node"),
    ],
)
def test_processes_and_machines_that_cannot_be_are_refused_with_the_reason(asked: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError) as refused:
        plan(**MINE | asked)
    assert reason in str(refused.value)


def test_several_machines_meet_at_an_address_of_the_first() -> None:
    found = plan(**MINE, nnodes=2, nproc_per_node=4, rdzv_endpoint="10.0.0.1:29500", rdzv_id="night-1")
    assert (found.nnodes, found.nproc_per_node, found.rdzv_endpoint) == (2, 4, "10.0.0.1:29500")
    assert found.is_distributed
    assert not plan(**MINE).is_distributed


def test_a_plan_survives_its_document_and_one_of_an_older_version_is_read() -> None:
    found = plan(**MINE, target_modules="q_proj")
    assert TrainingPlan.from_dict(found.to_dict()) == found
    old = {"name": "a", "model": "m", "dataset": "/d", "target_modules": None, "r": 4, "forgotten": 1}
    assert TrainingPlan.from_dict(old).r == 4


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    ["model", "dataset", "config", "peft", "max_steps", "algorithm", "quantization", "method"]
                ),
                inner,
            )
        ),
    )
)
def test_any_json_is_a_plan_or_a_list_of_problems(body: Any) -> None:
    with suppress(ValidationError):
        StartTraining.model_validate(body)
