"""The law: no secret survives, wherever it stands, however it is spelled; and ordinary text is left as it is."""

from __future__ import annotations

import json
from binascii import b2a_base64
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from launcher.redact import Redactor

if TYPE_CHECKING:
    from collections.abc import Callable

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
SECRET = "9f8b2c7d1e6a4f3b0c5d8e7f6a1b2c3d9f8b2c7d1e6a4f3b"
HOME, USER, COMPUTER = "/srv/people/Kristóf Ångström", "kristóf", "workbench-7"
KNOWN = Redactor({SECRET: "<token of the backend>"}, {HOME: "~"}, {USER: "<user>", COMPUTER: "<computer>"})

SPELLINGS: dict[str, Callable[[str], bytes]] = {
    "as it is": lambda text: text.encode(),
    "in JSON": lambda text: json.dumps({"text": text}).encode(),
    "in JSON twice": lambda text: json.dumps(json.dumps(text, ensure_ascii=False)).encode(),
    "in a URL": lambda text: quote(text).encode(),
    "in a query": lambda text: quote(text, safe="").encode(),
    "by repr": lambda text: repr(text).encode(),
    "in UTF-16": lambda text: text.encode("utf-16"),
    "in UTF-16 without a mark": lambda text: text.encode("utf-16-le"),
    "in UTF-16 the other way round": lambda text: text.encode("utf-16-be"),
    "in an old console's encoding": lambda text: text.encode("cp1252"),
    "in capitals": lambda text: text.upper().encode(),
    "with a line break in the middle": lambda text: f"{text[:5]}\n{text[5:]}".encode(),
    "with Windows' line breaks": lambda text: f"{text[:3]}\r\n{text[3:6]}\r\n{text[6:]}".encode(),
}
# Plain ASCII on both sides, as logs have it.
around = st.text(st.sampled_from("abcdefghij .,:()[]=\n\t'"), max_size=60)


def bare(text: str) -> str:
    return "".join(text.split()).casefold()


@pytest.mark.parametrize("spelling", SPELLINGS)
@settings(max_examples=100)
@given(secret=st.sampled_from([SECRET, HOME, USER, COMPUTER]), before=around, after=around)
def test_what_is_known_to_be_private_is_gone(spelling: str, secret: str, before: str, after: str) -> None:
    spelled = SPELLINGS[spelling](f"{before} {secret} {after}" if "break" not in spelling else secret)
    if "break" in spelling:
        spelled = f"{before} ".encode() + spelled + f" {after}".encode()
    said = KNOWN.bytes(spelled)
    old = secret.encode("cp1252").decode("utf-8", "backslashreplace")
    for form in (secret, json.dumps(secret)[1:-1], quote(secret), old):
        assert bare(form) not in bare(said)


@settings(max_examples=100)
@given(before=around, after=around)
def test_a_token_is_gone_in_base64_too(before: str, after: str) -> None:
    packed = b2a_base64(SECRET.encode(), newline=False).decode().rstrip("=")
    assert packed not in KNOWN.text(f"{before} {packed}== {after}")


TOKEN = st.text(st.sampled_from(LETTERS), min_size=20, max_size=60).map(lambda text: f"Z{text}9")
SHAPES: dict[str, Callable[[str], str]] = {
    "of the hub": lambda token: f"hf_{token}",
    "of the hub, in a URL": lambda token: f"https://huggingface.co/api/models?token=hf_{token}&full=1",
    "in a header": lambda token: f"Authorization: Bearer {token}",
    "in a header as JSON": lambda token: json.dumps({"authorization": f"Bearer {token}"}),
    "in basic authentication": lambda token: f"Authorization: Basic {token}==",
    "in the environment": lambda token: f"PEFT_STUDIO_TOKEN={token}",
    "as a value of JSON": lambda token: json.dumps({"api_key": token, "password": token}),
    "as a value in Python": lambda token: repr({"token": token}),
    "in quotes": lambda token: f"token = 'a b {token}'",
    "before a server's name": lambda token: f"https://jane:{token}@models.example.com/x",
    "as a user of a proxy": lambda token: f"HTTPS_PROXY=http://{token}@proxy:3128",
    "of GitHub": lambda token: f"ghp_{token}",
    "before an at": lambda token: f"{token}@example.com",
    "as the owner of a home": lambda token: f"/home/{token}/model",
    "as the owner of a home on Windows": lambda token: f"C:\\Users\\{token}\\model",
    "as the owner of a home in JSON": lambda token: json.dumps(f"C:\\Users\\{token}\\model"),
    "as the owner of a home on a Mac": lambda token: f"/Users/{token}/model",
}


@pytest.mark.parametrize("shape", SHAPES)
@settings(max_examples=100)
@given(token=TOKEN, before=around, after=around)
def test_what_looks_like_a_secret_is_gone(shape: str, token: str, before: str, after: str) -> None:
    assert token not in Redactor({}, {}, {}).text(f"{before} {SHAPES[shape](token)} {after}")


@settings(max_examples=100)
@given(token=st.text(st.sampled_from(LETTERS), min_size=34, max_size=34), cut=st.integers(0, 33))
def test_a_token_of_the_hub_is_gone_though_a_line_breaks_in_it(token: str, cut: int) -> None:
    said = Redactor({}, {}, {}).text(f"fetching with hf_{token[:cut]}\n{token[cut:]} failed")
    assert said == "fetching with <token> failed"


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-24 02:14:03,120 INFO uvicorn.error: Application startup complete.",
        '{"v": 1, "event": "survey", "state": "damaged", "damaged": ["lib/python3.11/site-packages/torch/version.py"]}',
        "tokenizer_config.json: 4096 tokens at most, 12 tokens/s",
        "sha256 6d5a3f0b8c9e7d2a1b4c6e8f0a2b4c6d8e0f1a3b5c7d9e1f3a5b7c9d1e3f5a7b of lib/libtorch_cuda.so",
        "GET http://127.0.0.1:8000/api/health 200",
        "CUDA driver 580.65.06, NVIDIA H200, 143771 MiB; glibc 2.36",
        'File "/opt/app/resources/backend/_internal/base_library.zip", line 7, in run',
        "rt/01dface5/bin/python -m backend --port 8000 --data-dir D:\\studio\\data",
        "a root of the tree, and an admin, and the kristófs of the world",
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert KNOWN.text(text) == text


@settings(max_examples=100)
@given(st.binary(max_size=400))
def test_any_bytes_can_be_read(content: bytes) -> None:
    KNOWN.bytes(content).encode("utf-8", "backslashreplace")


def test_a_value_keeps_its_shape() -> None:
    value = {"path": f"{HOME}/x", "counts": [1, None, True], USER: {"deep": f"at {COMPUTER}"}}
    assert KNOWN.value(value) == {"path": "~/x", "counts": [1, None, True], "<user>": {"deep": "at <computer>"}}
