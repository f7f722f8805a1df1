"""Every method on every kind of model: it learns, plain peft loads it, and rows that it never saw get likelier."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from backend.estimates import Workload, memory_mb
from backend.methods import METHODS
from tests.builders.backend import DEADLINE, REPOSITORY, clean_environment, run
from tests.builders.models import ROWS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backend.training.plan import MethodName

pytestmark = pytest.mark.runtime

ARCHITECTURES = ("model", "gpt2", "qwen2")
HELD_OUT = 16
METHODS_ESTIMATED = ("lora", "dora", "ia3", "prefix-tuning", "prompt-tuning")
ESTIMATED = [(method, batch) for method in METHODS_ESTIMATED for batch in (4, 16)]
SHORTEST = 16  # tokens that every row has, so that none of a batch is padding
LORA_FAMILY = ("lora", "dora", "rslora", "pissa")
TRAINED = [(architecture, method.id) for architecture in ARCHITECTURES for method in METHODS if not method.needs_cuda]

# What a user does with adapters: plain transformers and peft. Prints the loss on held-out rows without and with each.
MEASURE = """
import json, sys, torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer
def loss(model, tokenizer, texts):
    total = count = 0
    for text in texts:
        tokens = tokenizer(text + tokenizer.eos_token, return_tensors="pt")
        predicted = tokens["input_ids"].numel() - 1
        with torch.no_grad():
            total += model(**tokens, labels=tokens["input_ids"]).loss.item() * predicted
        count += predicted
    return total / count
texts, pairs = json.loads(sys.argv[1])
measured = {}
for name, model, adapter in pairs:
    tokenizer = AutoTokenizer.from_pretrained(model)
    base = AutoModelForCausalLM.from_pretrained(model).eval()
    before = loss(base, tokenizer, texts)
    measured[name] = before, loss(PeftModel.from_pretrained(base, adapter).eval(), tokenizer, texts)
print(json.dumps(measured))
"""


def request(folder: Path, name: str, **fields: Any) -> dict[str, Any]:
    common = {"model": str(folder / "model"), "dataset": str(folder / "dataset.jsonl"), "batch_size": 16}
    return {"id": name, "max_steps": 6, "max_seq_length": 64, **common, **fields}


@pytest.fixture(scope="module")
def results(runtime_python: Path, material: Path) -> Mapping[str, dict[str, Any]]:
    """Give what became of every training of this module, all done by one process."""
    requests = [
        request(
            material,
            f"{architecture}-{method}",
            model=str(material / architecture),
            method=method,
            learning_rate=1e-2 if method in LORA_FAMILY else 1e-1,
            validation_split=HELD_OUT / ROWS,
            eval_steps=6,
        )
        for architecture, method in TRAINED
    ]
    requests += [
        request(material, "4bit", method="qlora", quantization="4bit", max_steps=30, learning_rate=1e-2),
        request(material, "no-layer", target_modules=["no_such_layer"]),
        request(material, "named-layers", method="ia3", target_modules=["k_proj", "down_proj"]),
        request(material, "diverging", lora_alpha=10**40),  # more than a 32-bit float can hold
        request(material, "too-large", r=10**13),  # more than any machine can address
        request(material, "limited", r=4096, limit_mb=64),
        request(material, "long", max_seq_length=100_000, method="prompt-tuning", max_steps=1),
        request(material, "no-room", method="prefix-tuning", virtual_tokens=1000),
        request(material, "older", model=str(material / "older"), max_steps=1),
        request(material, "sgd", optimizer="sgd", gradient_checkpointing=True, lr_scheduler="cosine"),
        *(
            request(
                material,
                f"larger-{method}-{batch}",
                model=str(material / "larger"),
                method=method,
                batch_size=batch,
                max_steps=2,
                max_seq_length=SHORTEST,
            )
            for method, batch in ESTIMATED
        ),
        request(material, "chat", model=str(material / "qwen2"), dataset=str(material / "chat.jsonl"), max_steps=1),
        request(material, "plain-chat", dataset=str(material / "chat.jsonl"), max_steps=1),
    ]
    said = [{"role": "user", "content": "Who sleeps?"}, {"role": "assistant", "content": "The red fox."}]
    (material / "chat.jsonl").write_text((json.dumps({"messages": said}) + "\n") * 8)
    (material / "requests.json").write_text(json.dumps(requests))
    out = material / "out"
    out.mkdir()
    ended = subprocess.run(
        [runtime_python, "-m", "tests.builders.train_many", material / "requests.json", out],
        cwd=REPOSITORY,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=4 * DEADLINE,
    )
    assert ended.returncode == 0, ended.stderr
    return {path.stem: json.loads(path.read_text()) for path in out.glob("*.json")}


@pytest.fixture(scope="module")
def held_out(
    runtime_python: Path, material: Path, results: Mapping[str, dict[str, Any]]
) -> Mapping[str, tuple[float, float]]:
    """Give the loss on held-out rows without and with each adapter."""
    rows = (material / "dataset.jsonl").read_text().splitlines()[-HELD_OUT:]
    pairs = [
        (name, str(material / name.partition("-")[0]), results[name]["adapter"])
        for name in (f"{architecture}-{method}" for architecture, method in TRAINED)
    ]
    measured: dict[str, tuple[float, float]] = json.loads(
        run(runtime_python, "-c", MEASURE, json.dumps([[json.loads(row)["text"] for row in rows], pairs]))
    )
    return measured


@pytest.mark.parametrize(("architecture", "method"), TRAINED)
def test_rows_that_it_never_saw_get_likelier(
    results: Mapping[str, dict[str, Any]], held_out: Mapping[str, tuple[float, float]], architecture: str, method: str
) -> None:
    trained = results[f"{architecture}-{method}"]
    assert "error" not in trained
    assert len(trained["losses"]) == 6
    before, after = held_out[f"{architecture}-{method}"]
    assert after < before - 0.1
    # What plain peft makes of the saved adapter is what the training measured in the end; but transformers divides by
    # the tokens for some models, by the predictions, which are one fewer a row, for others.
    assert after == pytest.approx(trained["validation"][-1][1], rel=0.07)


@pytest.mark.parametrize(
    ("name", "code", "expected"),
    [
        ("no-layer", "adapter-not-fitting", "no_such_layer"),
        ("diverging", "training-diverged", "the loss of step"),
        ("no-room", "adapter-not-fitting", "1000"),
        ("too-large", "out-of-memory", "Memory ran out"),
        ("limited", "out-of-memory", "Memory ran out"),
    ],
)
def test_what_cannot_be_done_says_why(
    results: Mapping[str, dict[str, Any]], name: str, code: str, expected: str
) -> None:
    error = results[name]["error"]
    assert error["code"] == code
    assert expected in error["message"]
    assert error["remedy"]


@pytest.mark.parametrize("name", ["named-layers", "long", "older", "sgd", "chat", "plain-chat"])
def test_settings_that_differ_are_trained_all_the_same(results: Mapping[str, dict[str, Any]], name: str) -> None:
    assert "error" not in results[name]
    assert results[name]["losses"]


def test_examples_longer_than_the_model_are_cut_with_a_warning(results: Mapping[str, dict[str, Any]]) -> None:
    assert any("256 positions" in note for note in results["long"]["notes"])


def test_messages_without_a_chat_template_are_written_plainly_with_a_warning(
    results: Mapping[str, dict[str, Any]],
) -> None:
    assert any("no chat template" in note for note in results["plain-chat"]["notes"])
    assert not any("no chat template" in note for note in results["chat"]["notes"])


def test_a_qlora_of_4_bits_learns_and_its_weights_take_a_fraction(results: Mapping[str, dict[str, Any]]) -> None:
    # The path that a GPU takes, but for the kernels, which are bitsandbytes' for processors.
    trained = results["4bit"]
    assert "error" not in trained
    losses = trained["losses"]
    assert sum(losses[-3:]) < 0.7 * sum(losses[:3])
    assert held_mb(trained) < 0.5 * held_mb(results["model-lora"])


def held_mb(trained: dict[str, Any]) -> float:
    """Return in how many MB a training held the model, as it said."""
    (note,) = [note for note in trained["notes"] if "held in" in note]
    return float(note.rpartition("held in ")[2].removesuffix(" MB"))


@pytest.mark.parametrize(("method", "batch"), ESTIMATED)
def test_the_estimate_of_memory_is_within_a_quarter_of_what_a_training_takes(
    results: Mapping[str, dict[str, Any]], method: MethodName, batch: int
) -> None:
    trained = results[f"larger-{method}-{batch}"]
    assert "error" not in trained
    (note,) = [note for note in trained["notes"] if "frozen" in note]
    frozen = int(note.partition("beside ")[2].partition(" frozen")[0].replace(",", ""))
    estimated = memory_mb(Workload(parameters=frozen, batch_size=batch, sequence_length=SHORTEST, method=method))
    assert estimated == pytest.approx(trained["peak_mb"], rel=1 / 4)


def test_no_adapter_decomposes_the_models_weights_when_it_is_loaded(results: Mapping[str, dict[str, Any]]) -> None:
    config = json.loads(Path(results["model-pissa"]["adapter"], "adapter_config.json").read_text())
    assert config["init_lora_weights"] is True
    assert config["r"] == 32
