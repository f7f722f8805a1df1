"""Conversations and texts as models learn them: each special token once, and an end that is learnt."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pytest

from tests.builders.backend import Backend, run
from tests.builders.models import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

pytestmark = pytest.mark.runtime

LONG = 200
ASKED = [{"role": "user", "content": "Who sleeps?"}]
SAID = [*ASKED, {"role": "assistant", "content": "The red fox."}]

# Prints what we make of texts and conversations, and what transformers alone does; and what of a batch is learnt.
TOKENS = """
import json, sys
from transformers import AutoTokenizer, DataCollatorForSeq2Seq
from backend.datasets.rows import Message
from backend.models.loading import load_tokenizer
from backend.models.tokens import asked, learnt
from backend.training.batch import batcher
folder, question, said = sys.argv[1], *map(json.loads, sys.argv[2:])
ours, plain = load_tokenizer(folder), AutoTokenizer.from_pretrained(folder)
def messages(given):
    return tuple(Message(**one) for one in given)
def template(given, **how):
    return plain.apply_chat_template(given, tokenize=True, return_dict=True, **how)["input_ids"]
rows = [learnt(ours, text) for text in ("The fox.", "The fox sleeps by the gate.")]
batch = batcher(ours.pad_token_id)(rows)
same = DataCollatorForSeq2Seq(ours)([{"input_ids": r, "attention_mask": [1] * len(r), "labels": r} for r in rows])
print(json.dumps({
    "bos": plain.bos_token_id,
    "eos": plain.eos_token_id,
    "pad": plain.pad_token_id,
    "text": [learnt(ours, "The fox."), plain("The fox.")["input_ids"]],
    "cut": learnt(ours, "The fox.", 3),
    "chat": [learnt(ours, messages(said)), template(said)],
    "question": [asked(ours, messages(question)), template(question, add_generation_prompt=True)],
    "batches": [{name: made[name].tolist() for name in made} for made in (batch, same)],
}))
"""


@pytest.fixture(scope="module")
def tokens(runtime_python: Path, material: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        run(runtime_python, "-c", TOKENS, str(material / "chat"), json.dumps(ASKED), json.dumps(SAID))
    )
    return found


@pytest.fixture(scope="module")
def talker(backend: Backend, material: Path) -> dict[str, Any]:
    """Give a loaded model that has learnt to answer with a sentence."""
    sentences = [json.loads(line)["text"] for line in (material / "dataset.jsonl").read_text().splitlines()]
    chance = random.Random(1)
    talks = [
        {"messages": [*ASKED, {"role": "assistant", "content": chance.choice(sentences)}]}
        for _ in range(len(sentences))
    ]
    (material / "talks.jsonl").write_text("".join(json.dumps(talk) + "\n" for talk in talks))
    body = SETTINGS | {"model": str(material / "chat"), "dataset": str(material / "talks.jsonl"), "max_seq_length": 128}
    job = backend.wait_for_job(backend.train(**body), "completed", "failed")
    assert job["state"] == "completed", job["error"]
    asked = {"model_id": str(material / "chat"), "adapter_path": job["job_id"]}
    loaded: dict[str, Any] = backend.post("/api/inference/load", json=asked).json()
    return loaded


def test_a_tokenizer_of_conversations_is_one_that_most_models_have(tokens: Mapping[str, Any]) -> None:
    assert tokens["pad"] is None
    assert tokens["text"][1][0] == tokens["bos"]  # it begins texts itself, and the template does too


def test_a_conversation_has_the_tokens_of_its_template_and_no_more(tokens: Mapping[str, Any]) -> None:
    for ours, plain in (tokens["chat"], tokens["question"]):
        assert ours == plain
        assert ours.count(tokens["bos"]) == 1
    assert tokens["chat"][0][-1] == tokens["eos"]


def test_a_text_ends_unless_it_is_cut(tokens: Mapping[str, Any]) -> None:
    ours, plain = tokens["text"]
    assert ours == [*plain, tokens["eos"]]
    assert tokens["cut"] == plain[:3]


def test_all_is_learnt_but_the_padding_though_it_looks_like_an_end(tokens: Mapping[str, Any]) -> None:
    batch, librarys = tokens["batches"]
    assert batch == librarys
    short, long = batch["labels"]
    assert long == batch["input_ids"][1]
    assert long[-1] == tokens["eos"]
    said = len(tokens["text"][0])
    assert short == [*tokens["text"][0], *[-100] * (len(long) - said)]
    assert batch["input_ids"][0][said:] == [tokens["eos"]] * (len(long) - said)


def test_a_model_that_learnt_conversations_ends_its_answers(backend: Backend, talker: Mapping[str, Any]) -> None:
    asked = {"model_id": talker["model_id"], "messages": ASKED, "max_tokens": LONG, "temperature": 0}
    answer = backend.post("/api/inference/generate", json=asked).json()
    assert answer["response"].startswith("The ")
    assert answer["response"].endswith("too.")
    assert answer["tokens_generated"] < LONG


def test_a_model_that_learnt_texts_ends_them(backend: Backend, material: Path, trained: Mapping[str, Any]) -> None:
    asked = {"model_id": str(material / "model"), "adapter_path": trained["adapter_path"]}
    model = backend.post("/api/inference/load", json=asked).json()["model_id"]
    body = {"model_id": model, "prompt": "The red", "max_tokens": LONG, "temperature": 0, "repetition_penalty": 1}
    assert backend.post("/api/inference/generate", json=body).json()["tokens_generated"] < LONG


def test_messages_that_the_template_refuses_fail_alone(
    backend: Backend, material: Path, talker: Mapping[str, Any]
) -> None:
    refused = [{"role": "tool", "content": "42"}, SAID[1]]
    asked = {"model_id": talker["model_id"], "messages": refused}
    answer = backend.post("/api/inference/generate", json=asked)
    assert (answer.status_code, answer.json()["code"]) == (422, "messages-not-fitting")
    assert "Tools are not known here" in answer.json()["message"]
    assert backend.post("/api/inference/generate", json=asked | {"messages": ASKED}).status_code == 200
    (material / "tools.jsonl").write_text(json.dumps({"messages": refused}) + "\n")
    body = {"model": str(material / "chat"), "dataset": str(material / "tools.jsonl")}
    job = backend.wait_for_job(backend.train(**body), "failed", "completed")
    assert job["error"]["code"] == "messages-not-fitting"
