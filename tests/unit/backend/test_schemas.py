"""The bodies that the app sends to start a training: its wizard's, its types', and our own."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from backend.datasets.statistics import Extent
from backend.defaults import precision
from backend.estimates import Workload, memory_mb
from backend.hardware import Device
from backend.methods import METHODS, Method
from backend.schemas import StartTraining
from backend.training.plan import PROMPT_METHODS, TrainingPlan

MINE = {"model": "owner/name", "dataset": "/rows.jsonl"}
GPU = Device(memory_mb=24 * 1024, cores=8, compute_capability=8.6)
ROWS = Extent(examples=5000, longest=4000)


def plan(**body: Any) -> TrainingPlan:
    asked = StartTraining.model_validate(body)
    return asked.plan(Path(asked.dataset), asked.chosen(None))


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
    assert asked.chosen(None)["learning_rate"].value == 3e-2
    assert "prompt tuning" in asked.chosen(None)["learning_rate"].why
    large = asked.chosen(asked.situation(30e9, GPU, ROWS))["learning_rate"]
    assert large.value == 1.5e-2
    assert "30.0 billion" in large.why


def test_what_the_request_says_is_nothing_that_we_chose() -> None:
    asked = StartTraining.model_validate(MINE | {"method": "ia3", "learning_rate": 0.5, "batch_size": 7})
    found = asked.plan(Path("/rows.jsonl"), asked.chosen(asked.situation(30e9, GPU, ROWS)))
    assert (found.learning_rate, found.batch_size, found.gradient_accumulation) == (0.5, 7, 1)
    assert asked.chosen(asked.situation(30e9, GPU, ROWS)) == {}


@given(
    parameters=st.floats(1e5, 1e11),
    memory=st.floats(100, 2e5),
    capability=st.none() | st.sampled_from([7.5, 8.6, 9.0]),
    examples=st.integers(1, 100_000),
    longest=st.integers(1, 100_000),
    method=st.sampled_from(METHODS),
    processes=st.integers(1, 8),
    r=st.integers(1, 1024),
    virtual_tokens=st.integers(1, 1000),
)
def test_the_batch_that_is_left_to_us_fits_by_the_estimate_and_no_step_has_more_examples_than_suit_the_dataset(
    parameters: float,
    memory: float,
    capability: float | None,
    examples: int,
    longest: int,
    method: Method,
    processes: int,
    r: int,
    virtual_tokens: int,
) -> None:
    wanted = {"method": method.id, "nproc_per_node": processes, "r": r, "virtual_tokens": virtual_tokens}
    asked = StartTraining.model_validate(MINE | wanted)
    device = Device(memory_mb=memory, cores=4, compute_capability=capability)
    now = asked.situation(parameters, device, Extent(examples=examples, longest=longest))
    chosen = asked.chosen(now)
    found = asked.plan(Path("/rows.jsonl"), chosen)
    work = Workload(
        parameters=parameters,
        batch_size=found.batch_size,
        sequence_length=min(longest, found.max_seq_length),
        method=found.method,
        precision=precision(capability),
        quantization=found.quantization,
        gradient_checkpointing=found.gradient_checkpointing,
        r=found.r,
        virtual_tokens=found.virtual_tokens,
    )
    assert memory_mb(work) <= 0.9 * memory or (found.batch_size == 1 and "too much for" in chosen["batch_size"].why)
    step = found.batch_size * found.gradient_accumulation
    assert step == 1 or step * processes <= max(4, min(32, examples / 32))
    assert not (found.gradient_checkpointing and found.method in PROMPT_METHODS)


def test_a_batch_that_is_left_to_us_depends_on_model_dataset_and_machine_and_says_so() -> None:
    asked = StartTraining.model_validate(MINE)
    chosen = {name: one.value for name, one in asked.chosen(asked.situation(0.3e9, GPU, ROWS)).items()}
    assert (chosen["batch_size"], "gradient_accumulation" in chosen) == (32, False)
    assert "24 GB of GPU memory" in asked.chosen(asked.situation(1e9, GPU, ROWS))["batch_size"].why
    few = asked.chosen(asked.situation(1e9, GPU, Extent(examples=100, longest=64)))["batch_size"]
    assert few.value == 4
    assert "a dataset of 100" in few.why
    large = asked.chosen(asked.situation(7e9, GPU, ROWS))
    batch, steps = (large[name].value for name in ("batch_size", "gradient_accumulation"))
    assert isinstance(batch, int)
    assert isinstance(steps, int)
    assert batch < 32 == batch * steps
    small = replace(GPU, memory_mb=3600, compute_capability=None)
    tight = asked.chosen(asked.situation(0.6e9, small, ROWS))
    assert tight["gradient_checkpointing"].value is True
    assert "main memory" in tight["batch_size"].why


def test_tokens_that_prompt_tuning_adds_to_each_example_leave_room_for_fewer_of_them() -> None:
    few, many = (
        StartTraining.model_validate(MINE | {"method": "prompt-tuning", "virtual_tokens": number})
        for number in (1, 1000)
    )
    batches = [
        asked.plan(Path("/rows.jsonl"), asked.chosen(asked.situation(3e9, GPU, ROWS))).batch_size
        for asked in (few, many)
    ]
    assert batches[0] > batches[1]


def test_what_the_request_says_of_the_batch_limits_what_is_left_to_us() -> None:
    asked = StartTraining.model_validate(MINE | {"gradient_accumulation": 8, "gradient_checkpointing": False})
    chosen = asked.chosen(asked.situation(1e9, GPU, ROWS))
    assert (chosen["batch_size"].value, set(chosen)) == (4, {"batch_size", "learning_rate"})


def test_of_a_model_that_nobody_knows_the_batch_is_the_usual_one_and_that_is_said() -> None:
    asked = StartTraining.model_validate(MINE)
    assert asked.chosen(None)["batch_size"].value == 4
    assert "not known" in asked.chosen(None)["batch_size"].why
    assert asked.plan(Path("/rows.jsonl"), asked.chosen(None)).gradient_accumulation == 1


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
