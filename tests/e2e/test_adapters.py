"""Finished adapters and uploaded datasets, with the libraries of the runtime behind the server."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from backend.adapters.published import published
from tests.builders.backend import Backend, run, wait_until
from tests.builders.models import ROWS, SETTINGS

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.runtime

# Prints how far the merged model's logits are from those of the base with its adapter, and from the base's alone.
MERGED = """
import json, sys, torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer
base, adapter, merged = sys.argv[1:]
tokens = AutoTokenizer.from_pretrained(merged)("The red fox sleeps", return_tensors="pt")
def logits(model):
    with torch.no_grad():
        return model.eval()(**tokens).logits
one = logits(AutoModelForCausalLM.from_pretrained(merged))
plain = AutoModelForCausalLM.from_pretrained(base)
alone = logits(plain)
both = logits(PeftModel.from_pretrained(plain, adapter))
print(json.dumps([(one - both).abs().max().item(), (one - alone).abs().max().item()]))
"""

# Prints the token counts of the dataset by the tokenizer alone.
COUNT = """
import json, sys
from transformers import AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
counts = [len(tokenizer(json.loads(line)["text"] + tokenizer.eos_token)["input_ids"]) for line in open(sys.argv[2])]
print(json.dumps([sum(counts), min(counts), max(counts)]))
"""

# Writes the rows of a JSON lines file as parquet.
PARQUET = """
import json, sys
import pyarrow as pa
from pyarrow import parquet
parquet.write_table(pa.Table.from_pylist([json.loads(line) for line in open(sys.argv[1])]), sys.argv[2])
"""


@pytest.fixture(scope="module")
def adapter(backend: Backend, trained: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = backend.get(f"/api/adapters/{trained['job_id']}").json()
    return found


def test_an_adapter_says_what_it_was_trained_on_and_how_well(
    backend: Backend, material: Path, trained: Mapping[str, Any], adapter: dict[str, Any]
) -> None:
    assert adapter in backend.get("/api/adapters").json()["adapters"]
    assert (adapter["method"], adapter["base_model"]) == ("lora", str(material / "model"))
    assert adapter["plan"] == trained["plan"]
    assert adapter["metrics"]["loss"] == trained["metrics"][-1]["loss"]
    assert adapter["metrics"]["steps"] == SETTINGS["max_steps"]
    assert adapter["size"] == sum(path.stat().st_size for path in Path(adapter["path"]).iterdir())


def test_a_second_training_of_the_same_name_is_a_version_and_comparing_shows_what_differs(
    backend: Backend, material: Path
) -> None:
    body = {"model": str(material / "model"), "dataset": str(material / "dataset.jsonl"), "max_steps": 2, "name": "fox"}
    ids = [backend.train(**body, r=rank) for rank in (4, 8)]
    for job_id in ids:
        backend.wait_for_job(job_id, "completed", "failed")
    first, second = backend.get(f"/api/adapters/compare?ids={ids[0]}&ids={ids[1]}").json()["adapters"]
    assert [(one["name"], one["version"]) for one in (first, second)] == [("fox", 1), ("fox", 2)]
    assert [one["settings"] for one in (first, second)] == [{"r": 4}, {"r": 8}]
    assert all(one["metrics"]["steps"] == 2 for one in (first, second))
    backend.call("DELETE", f"/api/adapters/{ids[0]}")
    assert backend.get(f"/api/adapters/{ids[1]}").json()["version"] == 2
    assert backend.get("/api/adapters/compare?ids=none").json()["code"] == "adapter-unknown"


def test_a_merged_model_is_the_base_with_its_adapter(
    runtime_python: Path, backend: Backend, material: Path, adapter: dict[str, Any]
) -> None:
    asked = {"name": "merged", "modelfile": True}
    merged = backend.post(f"/api/adapters/{adapter['id']}/merge", json=asked).json()
    assert merged["path"] == str(backend.data_dir / "models" / "merged")
    arguments = (str(material / "model"), adapter["path"], merged["path"])
    same, different = json.loads(run(runtime_python, "-c", MERGED, *arguments))
    assert same < 1e-3 < different
    assert Path(merged["path"], "Modelfile").read_text() == "FROM .\n"
    assert merged["path"] in [model["model_id"] for model in backend.get("/api/models/local").json()["models"]]
    for _, content in published(Path(merged["path"])):
        assert str(material).encode() not in (content if isinstance(content, bytes) else content.read_bytes())
    again = backend.post(f"/api/adapters/{adapter['id']}/merge", json=asked)
    assert (again.status_code, again.json()["code"]) == (409, "name-taken")


@pytest.mark.parametrize("name", ["../up", "/abs", ".hidden", ""])
def test_a_merged_model_cannot_be_put_elsewhere(backend: Backend, adapter: dict[str, Any], name: str) -> None:
    answer = backend.post(f"/api/adapters/{adapter['id']}/merge", json={"name": name})
    assert (answer.status_code, answer.json()["code"]) == (422, "request-invalid")


def test_an_export_holds_the_whole_folder_without_this_machines_paths(
    backend: Backend, material: Path, adapter: dict[str, Any]
) -> None:
    with zipfile.ZipFile(io.BytesIO(backend.get(f"/api/adapters/{adapter['id']}/export").content)) as archive:
        for path in Path(adapter["path"]).iterdir():
            content = archive.read(f"{adapter['id']}/{path.name}")
            assert content == path.read_bytes().replace(f"{material}/".encode(), b"")
            assert str(material).encode() not in content
    reports = backend.data_dir / "reports"
    wait_until(lambda: not list(reports.glob(f"adapter-{adapter['id']}*")), "nothing of the export is left")


def test_an_adapter_that_changes_no_weights_is_not_merged_but_deleted(backend: Backend) -> None:
    folder = backend.data_dir / "adapters" / "by-hand"
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "PREFIX_TUNING"}))
    assert backend.get("/api/adapters/by-hand").json()["code"] == "adapter-unknown"  # it has no weights yet
    (folder / "adapter_model.safetensors").write_bytes(b"")
    answer = backend.post("/api/adapters/by-hand/merge", json={"name": "x"})
    assert (answer.status_code, answer.json()["code"]) == (409, "adapter-not-mergeable")
    assert backend.call("DELETE", "/api/adapters/by-hand").json()["status"] == "deleted"
    assert not folder.exists()


def test_a_dataset_is_uploaded_as_parquet_and_counted_with_the_models_tokenizer(
    runtime_python: Path, backend: Backend, material: Path, tmp_path: Path
) -> None:
    run(runtime_python, "-c", PARQUET, str(material / "dataset.jsonl"), str(tmp_path / "rows.parquet"))
    content = (tmp_path / "rows.parquet").read_bytes()
    dataset = backend.post("/api/datasets/upload", files={"file": ("rows.parquet", content)}).json()
    assert (dataset["format"], dataset["num_samples"]) == ("parquet", ROWS)
    first = json.loads((material / "dataset.jsonl").read_text().splitlines()[0])["text"]
    assert backend.get(f"/api/datasets/{dataset['id']}/preview?count=1").json()["examples"] == [first]
    counted = backend.post(f"/api/datasets/{dataset['id']}/tokens", json={"model": str(material / "model")}).json()
    expected = json.loads(run(runtime_python, "-c", COUNT, str(material / "model"), str(material / "dataset.jsonl")))
    assert [counted["tokens"], counted["shortest"], counted["longest"]] == expected


def test_a_parquet_file_that_is_none_is_refused(backend: Backend) -> None:
    answer = backend.post("/api/datasets/upload", files={"file": ("rows.parquet", b"PAR1 and then nothing")})
    assert (answer.status_code, answer.json()["code"]) == (422, "parquet-unreadable")
