"""Nothing that a model brings runs on this machine before its user has consented to it."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from tests.builders.backend import Backend, run, running_backend
from tests.builders.models import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.runtime

# A model's and a tokenizer's class of the folder's own, which leave a file as soon as they are imported.
CODE = """
from pathlib import Path
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
Path({mark!r}).touch()
class PlantedTokenizer(PreTrainedTokenizerFast):
    pass
class PlantedConfig(LlamaConfig):
    model_type = "planted"
class PlantedModel(LlamaForCausalLM):
    config_class = PlantedConfig
"""
AUTO_MAP = {"AutoConfig": "planted.PlantedConfig", "AutoModelForCausalLM": "planted.PlantedModel"}
TOKENIZER_MAP = {"AutoTokenizer": [None, "planted.PlantedTokenizer"]}
# Writes a model's weights as transformers once did: as a pickle, of tensors alone.
TO_PICKLE = """
import sys, torch
from safetensors.torch import load_file
torch.save(load_file(sys.argv[1]), sys.argv[2])
"""


class Bomb:
    """Leaves a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self._mark),)


@pytest.fixture(scope="module")
def hub_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the hub's client keeps what it fetched."""
    return tmp_path_factory.mktemp("trust") / "hub"


@pytest.fixture(scope="module")
def trusting(runtime_python: Path, hub_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    environment = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(hub_cache.parent)}
    with running_backend(runtime_python, tmp_path_factory.mktemp("trusting"), environment=environment) as backend:
        yield backend


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """What the planted code and pickles leave behind."""
    return tmp_path / "it has run"


@pytest.fixture
def planted(material: Path, tmp_path: Path, mark: Path) -> Path:
    """A model whose class and whose tokenizer come with it."""
    folder = tmp_path / "planted"
    shutil.copytree(material / "model", folder)
    (folder / "planted.py").write_text(CODE.format(mark=str(mark)))
    change(folder / "config.json", auto_map=AUTO_MAP, model_type="planted", architectures=["PlantedModel"])
    change(folder / "tokenizer_config.json", auto_map=TOKENIZER_MAP, tokenizer_class="PlantedTokenizer")
    return folder


@pytest.fixture
def pickled(material: Path, tmp_path: Path) -> Path:
    """A model without its weights."""
    folder = tmp_path / "pickled"
    shutil.copytree(material / "model", folder, ignore=shutil.ignore_patterns("*.safetensors"))
    return folder


def keep_commit(hub_cache: Path, name: str, commit: str, folder: Path) -> None:
    """Leave a folder in the hub's cache as this commit of a model, the newest, as the hub's client would."""
    place = hub_cache / f"models--{name.replace('/', '--')}"
    shutil.copytree(folder, place / "snapshots" / commit)
    (place / "refs").mkdir(exist_ok=True)
    (place / "refs/main").write_text(commit)


def change(path: Path, **fields: Any) -> None:
    """Change fields of a JSON document."""
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def train(backend: Backend, model: Path | str, material: Path) -> str | None:
    """Train on a model; return with which error that ends, None: with none."""
    body = {"model": str(model), "dataset": str(material / "dataset.jsonl"), **SETTINGS, "max_steps": 1}
    job = backend.wait_for_job(backend.train(**body), "failed", "completed")
    return job["error"] and str(job["error"]["code"])


def infer(backend: Backend, model: Path | str) -> str | None:
    """Load a model; return with which error that ends, None: with none."""
    loaded: dict[str, Any] = backend.post("/api/inference/load", json={"model_id": str(model)}).json()
    if "code" not in loaded:
        backend.post(f"/api/inference/models/{loaded['model_id']}/unload")
    return loaded.get("code")


def count(backend: Backend, model: Path, material: Path) -> str | None:
    """Count tokens with a model's tokenizer; return with which error that ends, None: with none."""
    rows = {"file": ("rows.jsonl", (material / "dataset.jsonl").read_bytes())}
    dataset = backend.post("/api/datasets/upload", files=rows).json()["id"]
    counted: dict[str, Any] = backend.post(f"/api/datasets/{dataset}/tokens", json={"model": str(model)}).json()
    return counted.get("code")


def consent(backend: Backend, model: Path | str, **what: bool) -> dict[str, Any]:
    found = backend.get("/api/models/consents", params={"model": str(model)}).json()
    body = {"model": str(model), "revision": found["revision"], **what}
    answer = backend.call("PUT", "/api/models/consents", json=body)
    assert answer.status_code == 200, answer.text
    given: dict[str, Any] = answer.json()
    return given


def test_a_models_own_code_runs_once_it_was_consented_to_and_not_before(
    trusting: Backend, planted: Path, material: Path, mark: Path
) -> None:
    refused = {train(trusting, planted, material), infer(trusting, planted), count(trusting, planted, material)}
    assert refused == {"code-not-trusted"}
    looked = trusting.get("/api/models/consents", params={"model": str(planted)}).json()
    assert (looked["code"], looked["consent"]) == (["planted.py"], {"code": False, "pickle": False})
    assert not mark.exists()
    assert consent(trusting, planted, code=True)["code"] == ["planted.py"]
    assert {train(trusting, planted, material), infer(trusting, planted), count(trusting, planted, material)} == {None}
    assert mark.exists()


def test_code_that_has_changed_is_asked_about_again(trusting: Backend, planted: Path, mark: Path) -> None:
    seen = consent(trusting, planted, code=True)["revision"]
    with (planted / "planted.py").open("a") as code:
        code.write("# and a little more\n")
    assert infer(trusting, planted) == "code-not-trusted"
    late = {"model": str(planted), "revision": seen, "code": True}
    answer = trusting.call("PUT", "/api/models/consents", json=late)
    assert (answer.status_code, answer.json()["code"]) == (409, "revision-changed")
    assert not mark.exists()


def test_a_consent_to_a_models_code_on_the_hub_is_to_that_commit_and_runs_no_later_one(
    trusting: Backend, hub_cache: Path, planted: Path, material: Path, mark: Path
) -> None:
    name = f"tester/planted-{planted.parent.name}"
    keep_commit(hub_cache, name, "a" * 40, planted)
    assert {train(trusting, name, material), infer(trusting, name)} == {"code-not-trusted"}
    assert consent(trusting, name, code=True)["revision"].startswith("a" * 40)
    assert {train(trusting, name, material), infer(trusting, name)} == {None}
    assert mark.exists()
    later = mark.with_name("the later code has run")
    (planted / "planted.py").write_text(CODE.format(mark=str(later)))
    keep_commit(hub_cache, name, "b" * 40, planted)
    assert {train(trusting, name, material), infer(trusting, name)} == {"code-not-trusted"}
    assert not later.exists()


def test_code_of_another_repository_does_not_run_by_this_ones_consent(trusting: Backend, planted: Path) -> None:
    change(planted / "config.json", auto_map={name: f"tester/other--{place}" for name, place in AUTO_MAP.items()})
    consent(trusting, planted, code=True)
    assert infer(trusting, planted) == "code-not-trusted"


def test_pickled_weights_are_not_read_before_a_consent_and_run_nothing_after_it(
    trusting: Backend, pickled: Path, material: Path, mark: Path
) -> None:
    (pickled / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb(mark)))
    assert {train(trusting, pickled, material), infer(trusting, pickled)} == {"pickle-not-trusted"}
    assert consent(trusting, pickled, pickle=True)["pickles"] == ["pytorch_model.bin"]
    assert infer(trusting, pickled) == "model-not-loaded"  # torch reads tensors, and no more
    assert not mark.exists()


def test_pickled_weights_of_a_trusted_maker_can_be_used(
    runtime_python: Path, trusting: Backend, pickled: Path, material: Path
) -> None:
    weights = (str(material / "model" / "model.safetensors"), str(pickled / "pytorch_model.bin"))
    run(runtime_python, "-c", TO_PICKLE, *weights)
    consent(trusting, pickled, pickle=True)
    assert infer(trusting, pickled) is None
    assert trusting.call("DELETE", f"/api/models/consents?model={pickled}").json()["status"] == "withdrawn"
    withdrawn = trusting.get("/api/models/consents", params={"model": str(pickled)}).json()["consent"]
    assert withdrawn == {"code": False, "pickle": False}
