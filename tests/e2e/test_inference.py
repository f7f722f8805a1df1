"""Models that answer, each in a process of its own, against what plain transformers and peft generate."""

from __future__ import annotations

import json
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from tests.builders.backend import DEADLINE, Backend, run, wait_until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.runtime

MANY = 8
PROMPT = "The red fox"
GREEDY: dict[str, Any] = {"prompt": PROMPT, "max_tokens": 12, "temperature": 0, "repetition_penalty": 1}

# What a user would write by hand: the likeliest continuations without and with the adapter.
PLAIN = """
import json, sys, torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer
model, adapter, prompt, count = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(model)
tokens = tokenizer(prompt, return_tensors="pt")
def say(model):
    out = model.generate(**tokens, max_new_tokens=int(count), do_sample=False)[0]
    return tokenizer.decode(out[tokens["input_ids"].shape[1]:], skip_special_tokens=True)
base = AutoModelForCausalLM.from_pretrained(model).eval()
print(json.dumps([say(base), say(PeftModel.from_pretrained(base, adapter).eval())]))
"""


@pytest.fixture(scope="module")
def endless(material: Path) -> Path:
    """The same model, with room for a generation that takes minutes."""
    folder = material / "endless"
    folder.mkdir()
    for path in (material / "model").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    config = json.loads((folder / "config.json").read_text())
    del config["eos_token_id"]
    (folder / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 1_000_000}))
    (folder / "generation_config.json").unlink()
    return folder


@pytest.fixture(scope="module")
def loaded(backend: Backend, material: Path, trained: dict[str, Any]) -> dict[str, Any]:
    return load(backend, material / "model", trained["adapter_path"])


def load(backend: Backend, model: Path, adapter: str | None = None) -> dict[str, Any]:
    answer = backend.post("/api/inference/load", json={"model_id": str(model), "adapter_path": adapter})
    assert answer.status_code == 200, answer.text
    entry: dict[str, Any] = answer.json()
    return entry


def frames(backend: Backend, request: Any) -> list[dict[str, Any]]:
    with backend.websocket("/api/inference/stream") as socket:
        socket.send(request if isinstance(request, str) else json.dumps(request))
        told: list[dict[str, Any]] = []
        while not told or told[-1]["type"] not in {"complete", "error"}:
            told.append(json.loads(socket.recv(timeout=DEADLINE)))
    return told


def test_a_loaded_model_is_listed_under_a_name_that_a_url_can_hold(backend: Backend, loaded: dict[str, Any]) -> None:
    (entry,) = [one for one in backend.get("/api/inference/models/loaded").json()["models"] if one == loaded]
    assert set(entry["model_id"]) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
    assert entry["memory_usage_mb"] > 1
    assert psutil.Process(entry["pid"]).is_running()


def test_loading_the_same_again_is_the_same(
    backend: Backend, material: Path, trained: dict[str, Any], loaded: dict[str, Any]
) -> None:
    assert load(backend, material / "model", trained["job_id"]) == loaded  # an adapter of ours goes by its id, too


def test_base_and_adapter_answer_as_plain_transformers_and_peft_do(
    runtime_python: Path, backend: Backend, material: Path, trained: dict[str, Any], loaded: dict[str, Any]
) -> None:
    arguments = (str(material / "model"), trained["adapter_path"], PROMPT, str(GREEDY["max_tokens"]))
    expected = json.loads(run(runtime_python, "-c", PLAIN, *arguments))
    compared = backend.post("/api/inference/compare", json=GREEDY | {"model_id": loaded["model_id"]}).json()
    assert [compared["base"]["response"], compared["adapter"]["response"]] == expected
    assert expected[0] != expected[1]
    answer = backend.post("/api/inference/generate", json=GREEDY | {"model_id": loaded["model_id"]}).json()
    assert answer["response"] == expected[1]
    assert answer["tokens_generated"] == GREEDY["max_tokens"]
    assert answer["tokens_per_second"] > 0
    assert answer["generation_time_seconds"] > 0


def test_a_stream_gives_the_same_text_piece_by_piece(backend: Backend, loaded: dict[str, Any]) -> None:
    whole = backend.post("/api/inference/generate", json=GREEDY | {"model_id": loaded["model_id"]}).json()
    told = frames(backend, GREEDY | {"model_id": loaded["model_id"], "stream": True, "top_k": None})
    assert [frame["type"] for frame in told] == ["start", *["token"] * (len(told) - 2), "complete"]
    assert "".join(frame["token"] for frame in told[1:-1]) == whole["response"]
    assert told[-1]["total_tokens"] == whole["tokens_generated"]


def test_the_same_seed_gives_the_same_text(backend: Backend, loaded: dict[str, Any]) -> None:
    body = {"model_id": loaded["model_id"], "prompt": PROMPT, "max_tokens": 8, "temperature": 1.5}
    texts = [
        backend.post("/api/inference/generate", json=body | {"seed": seed}).json()["response"] for seed in (1, 1, 2)
    ]
    assert texts[0] == texts[1] != texts[2]


def test_each_conversation_keeps_what_was_answered_in_it(backend: Backend, loaded: dict[str, Any]) -> None:
    model = {"model_id": loaded["model_id"]}
    prompts = ("The red fox", "The white owl", "The black crow")
    answers = [
        backend.post("/api/inference/generate", json=GREEDY | model | {"prompt": prompt}).json()["response"]
        for prompt in prompts
    ]
    # The app sends an assistant's message as it stood before: empty at first, then the last answer.
    for name, prompt, sent in (
        ("conv_1", prompts[0], ""),
        ("conv_2", prompts[1], ""),
        ("conv_1", prompts[2], answers[0]),
        ("conv_3", prompts[0], "as another client has it"),
    ):
        for role, content in (("user", prompt), ("assistant", sent)):
            said = {"conversation_id": name, "role": role, "content": content, **model}
            backend.post("/api/inference/conversation/save", json=said)
    kept = [
        [message["content"] for message in backend.get(f"/api/inference/conversation/{name}").json()["messages"][1::2]]
        for name in ("conv_1", "conv_2", "conv_3")
    ]
    assert kept == [[answers[0], answers[2]], [answers[1]], ["as another client has it"]]


def test_who_goes_away_cancels_and_the_next_is_answered(backend: Backend, endless: Path) -> None:
    entry = load(backend, endless)
    for _ in range(MANY):
        with backend.websocket("/api/inference/stream") as socket:
            request = {"model_id": entry["model_id"], "prompt": PROMPT, "max_tokens": 32_768, "temperature": 0}
            socket.send(json.dumps(request))
            while json.loads(socket.recv(timeout=DEADLINE))["type"] != "token":
                pass
    # Were they still generated, this would have to wait for MANY times 32,768 tokens.
    assert backend.post("/api/inference/generate", json=GREEDY | {"model_id": entry["model_id"]}).status_code == 200
    assert backend.get("/api/health").status_code == 200


@pytest.mark.parametrize("path", ["generate", "compare"])
def test_who_gives_up_a_request_cancels_it(backend: Backend, endless: Path, trained: dict[str, Any], path: str) -> None:
    entry = load(backend, endless, trained["adapter_path"])
    request = {"model_id": entry["model_id"], "prompt": PROMPT, "max_tokens": 32_768, "temperature": 0}
    headers = backend.headers | {"Content-Type": "application/json"}
    # One alone might end before DEADLINE; so many do not.
    for _ in range(MANY):
        connection = HTTPConnection(backend.host, timeout=DEADLINE)
        connection.request("POST", f"/api/inference/{path}", json.dumps(request), headers)
        connection.close()
    assert backend.post("/api/inference/generate", json=GREEDY | {"model_id": entry["model_id"]}).status_code == 200


def test_a_generation_that_fails_fails_alone(backend: Backend, material: Path) -> None:
    broken = material / "broken"
    broken.mkdir()
    for path in (material / "model").iterdir():
        (broken / path.name).write_bytes(path.read_bytes())
    config = json.loads((broken / "config.json").read_text())
    run_to_nan = config | {"rms_norm_eps": float("nan")}  # so that no probability is a number
    (broken / "config.json").write_text(json.dumps(run_to_nan))
    entry = load(backend, broken)
    for _ in range(2):
        body = {"model_id": entry["model_id"], "prompt": PROMPT, "max_tokens": 4}
        answer = backend.post("/api/inference/generate", json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, "generation-failed")
    assert psutil.pid_exists(entry["pid"])


@pytest.mark.parametrize("wrong", [{"temperature": 1e-40}, {"temperature": -1}, {"repetition_penalty": 1e-40}])
def test_settings_that_no_float_can_hold_are_refused(
    backend: Backend, loaded: dict[str, Any], wrong: dict[str, Any]
) -> None:
    answer = backend.post("/api/inference/generate", json=GREEDY | {"model_id": loaded["model_id"]} | wrong)
    assert (answer.status_code, answer.json()["code"]) == (422, "request-invalid")


def test_unloading_ends_the_process_that_held_the_memory(backend: Backend, material: Path) -> None:
    entry = load(backend, material / "qwen2")
    unloaded = backend.post(f"/api/inference/models/{entry['model_id']}/unload").json()
    assert unloaded["status"] == "unloaded"
    assert not psutil.pid_exists(entry["pid"])
    assert entry["model_id"] not in backend.get("/api/inference/models/loaded").text
    again = backend.post(f"/api/inference/models/{entry['model_id']}/unload")
    assert (again.status_code, again.json()["code"]) == (404, "model-not-loaded")


def test_a_killed_process_ends_its_stream_with_an_error_and_leaves_the_list(backend: Backend, endless: Path) -> None:
    entry = load(backend, endless)
    with backend.websocket("/api/inference/stream") as socket:
        socket.send(json.dumps({"model_id": entry["model_id"], "prompt": PROMPT, "max_tokens": 32_768}))
        begun = [json.loads(socket.recv(timeout=DEADLINE))["type"] for _ in range(2)]
        assert begun == ["start", "token"]
        psutil.Process(entry["pid"]).kill()
        while (frame := json.loads(socket.recv(timeout=DEADLINE)))["type"] != "error":
            pass
    assert frame["code"] == "inference-ended"
    wait_until(
        lambda: entry["model_id"] not in backend.get("/api/inference/models/loaded").text, "the model has left the list"
    )


@pytest.mark.parametrize("request_", ["{", "[]", "{}", '{"model_id": "none", "prompt": "x"}', '{"model_id": 5}'])
def test_a_stream_that_cannot_be_ends_with_an_error_frame(backend: Backend, request_: str) -> None:
    (frame,) = frames(backend, request_)
    assert frame["type"] == "error"
    assert isinstance(frame["error"], str)


def test_what_cannot_be_loaded_says_why(backend: Backend, material: Path) -> None:
    (material / "no-adapter").mkdir(exist_ok=True)
    for body, status, code in [
        ({"model_id": "/no/such/folder"}, 422, "model-missing"),
        ({"model_id": "nobody/no-such-model"}, 422, "hub-unreachable"),
        ({"model_id": str(material / "model"), "adapter_path": "/no/adapter"}, 422, "model-missing"),
        (
            {"model_id": str(material / "model"), "adapter_path": str(material / "no-adapter")},
            422,
            "model-missing",
        ),
    ]:
        answer = backend.post("/api/inference/load", json=body)
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    too_long = {"model_id": load(backend, material / "model")["model_id"], "prompt": "fox " * 500}
    assert backend.post("/api/inference/generate", json=too_long).json()["code"] == "prompt-not-fitting"
