"""Adapters become GGUF files where llama.cpp is on the machine, and where it is not, that is said."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.builders.backend import Backend, running_backend, wait_until
from tests.builders.hub import model_folder
from tests.builders.processes import is_gone

if TYPE_CHECKING:
    from collections.abc import Iterator

# Stands for llama.cpp's converter, with its command line: the program itself is not ours.
CONVERTER = """
import argparse, os, pathlib, time
parser = argparse.ArgumentParser()
parser.add_argument("adapter", type=pathlib.Path)
parser.add_argument("--base", type=pathlib.Path)
parser.add_argument("--outfile", type=pathlib.Path)
given = parser.parse_args()
if given.base.name == "strange":
    raise SystemExit("unknown architecture")
if given.base.name == "slow":
    parent = os.getppid()
    given.outfile.write_bytes(b"GGUF")
    while os.getppid() == parent:
        time.sleep(0.02)
    raise SystemExit
given.outfile.write_bytes(b"GGUF" + (given.adapter / "adapter_model.safetensors").read_bytes())
"""

# And this for the one of whole models.
MODEL_CONVERTER = """
import argparse, pathlib
parser = argparse.ArgumentParser()
parser.add_argument("model", type=pathlib.Path)
parser.add_argument("--outfile", type=pathlib.Path)
given = parser.parse_args()
given.outfile.write_bytes(b"GGUF" + (given.model / "model.safetensors").read_bytes())
"""


def adapter(backend: Backend, name: str, *, kind: str = "LORA", base: str = "/models/tiny") -> str:
    folder = backend.data_dir / "adapters" / name
    folder.mkdir(parents=True)
    configuration = {"peft_type": kind, "base_model_name_or_path": base}
    (folder / "adapter_config.json").write_text(json.dumps(configuration))
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    return f"/api/adapters/{name}/gguf"


@contextmanager
def backend_with(folder: Path, tmp_path: Path) -> Iterator[Backend]:
    environment = {"LLAMA_CPP": str(folder), "HF_HUB_OFFLINE": "1"}
    with running_backend(Path(sys.executable), tmp_path / "data", environment=environment) as backend:
        yield backend


def test_an_adapter_is_converted_with_a_modelfile_for_ollama(tmp_path: Path) -> None:
    (tmp_path / "convert_lora_to_gguf.py").write_text(CONVERTER)
    with backend_with(tmp_path, tmp_path) as backend:
        asked = {"name": "for-ollama", "ollama_model": "llama3.2:1b"}
        made = backend.post(adapter(backend, "one"), json=asked).json()
        assert made["path"] == str(backend.data_dir / "exports" / "for-ollama")
        assert set(made["files"]) == {"adapter.gguf", "Modelfile"}
        assert Path(made["path"], "adapter.gguf").read_bytes() == b"GGUFweights"
        assert Path(made["path"], "Modelfile").read_text() == "FROM llama3.2:1b\nADAPTER ./adapter.gguf\n"
        assert backend.post("/api/adapters/one/gguf", json=asked).json()["code"] == "name-taken"
        failed = backend.post(adapter(backend, "two", base="/models/strange"), json={"name": "two"}).json()
        assert failed["code"] == "conversion-failed"
        assert "unknown architecture" in failed["message"]
        assert [path.name for path in (backend.data_dir / "exports").iterdir()] == ["for-ollama"]
        other = backend.post(adapter(backend, "three", kind="PREFIX_TUNING"), json={"name": "three"}).json()
        assert other["code"] == "adapter-not-mergeable"


def test_a_conversion_whose_backend_was_killed_leaves_nothing_once_there_is_another(tmp_path: Path) -> None:
    (tmp_path / "convert_lora_to_gguf.py").write_text(CONVERTER)
    exports = tmp_path / "data" / "exports"
    with backend_with(tmp_path, tmp_path) as killed, ThreadPoolExecutor(1) as client:
        client.submit(killed.post, adapter(killed, "one", base="/models/slow"), json={"name": "x"})
        wait_until(lambda: bool(list(exports.glob(".x.*/adapter.gguf"))), "the converter has begun")
        killed.process.kill()
        killed.wait()
    (left,) = exports.iterdir()
    worker = int(left.name.split(".")[2])
    wait_until(lambda: is_gone(worker), "the kernel has ended the worker too")
    with backend_with(tmp_path, tmp_path):
        wait_until(lambda: not list(exports.iterdir()), "what was cut off is gone")


def test_a_merged_model_is_converted_too(tmp_path: Path) -> None:
    (tmp_path / "convert_hf_to_gguf.py").write_text(MODEL_CONVERTER)
    with backend_with(tmp_path, tmp_path) as backend:
        merged = backend.data_dir / "models" / "merged"
        model_folder(merged, (2, 3))
        made = backend.post("/api/models/local/merged/gguf", json={"name": "whole", "modelfile": True}).json()
        assert made["path"] == str(backend.data_dir / "exports" / "whole")
        assert set(made["files"]) == {"model.gguf", "Modelfile"}
        assert Path(made["path"], "model.gguf").read_bytes() == b"GGUF" + (merged / "model.safetensors").read_bytes()
        assert Path(made["path"], "Modelfile").read_text() == "FROM ./model.gguf\n"
        assert backend.post("/api/models/local/merged/gguf", json={"name": "whole"}).json()["code"] == "name-taken"
        for name in ("none", "%2e%2e", ".hidden"):
            answer = backend.post(f"/api/models/local/{name}/gguf", json={"name": "other"})
            assert (answer.status_code, answer.json()["code"]) == (404, "model-unknown")
        assert [path.name for path in (backend.data_dir / "exports").iterdir()] == ["whole"]


def test_without_the_converter_it_is_said_where_it_was_looked_for_and_how_to_get_it(tmp_path: Path) -> None:
    with backend_with(tmp_path / "nowhere", tmp_path) as backend:
        answer = backend.post(adapter(backend, "one"), json={"name": "x"})
        assert (answer.status_code, answer.json()["code"]) == (409, "converter-missing")
        assert str(tmp_path / "nowhere") in answer.json()["message"]
        assert "github.com/ggml-org/llama.cpp" in answer.json()["remedy"]
