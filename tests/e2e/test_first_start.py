"""The staged engine on a machine that has no Python: first start, second start, training, and nothing left behind."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from launcher.manifest import MANIFEST_NAME
from tests.builders import models
from tests.builders.backend import run
from tests.builders.bare_root import inside, make_root
from tests.builders.engine import close, running_engine

if TYPE_CHECKING:
    from launcher.manifest import Manifest

pytestmark = pytest.mark.runtime

# As the bare root sees them.
RESOURCES = "/opt/PEFT Studio é/backend"
HOME = "/home/Zoë O'Brien/peft-studio"
# What shells, conda and other apps leave behind.
FOREIGN = {
    "PYTHONHOME": "/nonexistent",
    "PYTHONPATH": "/nonexistent",
    "PYTHONDONTWRITEBYTECODE": "1",
    "CONDA_PREFIX": "/nonexistent",
    "LD_LIBRARY_PATH": "/nonexistent",
}


@pytest.fixture(scope="module")
def root(resources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A machine without Python, with the app's files on it."""
    root = make_root(tmp_path_factory.mktemp("root"))
    shutil.copytree(resources, root / RESOURCES[1:], symlinks=True)
    (root / HOME[1:]).parent.mkdir(parents=True)
    return root


@pytest.fixture(scope="module")
def material(root: Path, runtime_python: Path) -> Path:
    """A small model and a dataset on that machine; the place as the test's own root sees it."""
    run(runtime_python, Path(models.__file__), root / "material")
    return root / "material"


@pytest.mark.usefixtures("material")
def test_the_engine_starts_and_trains_where_no_python_is(root: Path, manifest: Manifest) -> None:
    program = f"{RESOURCES}/peft_engine"
    with running_engine(program, HOME, before=inside(root), environment=FOREIGN) as (engine, events):
        steps = [event["name"] for event in events if event["event"] == "step"]
        assert {"unpack", "relocate", "record"} <= set(steps)
        assert [event["event"] for event in events if event["event"] != "step"] == [
            "survey", "installed", "starting", "listening",
        ]  # fmt: skip
        assert next(event["part"] for event in events if event["event"] == "installed") == "core"
        assert engine.get("/api/health").json()["status"] == "healthy"
        # exec keeps the PID: whoever kills what he started kills the backend.
        assert engine.listening["pid"] == engine.process.pid
        job_id = engine.train(model="/material/model", dataset="/material/dataset.jsonl", max_steps=3)
        job = engine.wait_for_job(job_id, "completed", "failed")
        assert job["state"] == "completed", job["error"]
        assert (root / job["adapter_path"][1:] / "adapter_model.safetensors").stat().st_size > 0
        assert close(engine) == 0
    assert (root / HOME[1:] / "receipts" / f"{manifest.slot_name}.json").exists()


def test_the_second_start_reads_nothing_of_the_archive(root: Path, manifest: Manifest) -> None:
    for part in (*manifest.parts, manifest.index):
        (root / RESOURCES[1:] / part.name).unlink()
    with running_engine(f"{RESOURCES}/peft_engine", HOME, before=inside(root)) as (engine, events):
        assert [event["event"] for event in events] == ["starting", "listening"]
        assert close(engine) == 0


def test_what_the_parent_has_set_does_not_reach_the_backend(program: Path, home: Path) -> None:
    with running_engine(program, home, "--", "--port", "0", environment=FOREIGN) as (engine, _):
        environment = Path(f"/proc/{engine.process.pid}/environ").read_bytes().decode().split("\0")
        found = dict(line.split("=", 1) for line in environment if line)
        assert {name for name, value in found.items() if "nonexistent" in value} == set()
        assert "LD_LIBRARY_PATH" not in found
        assert close(engine) == 0


def test_a_start_from_another_folder_imports_nothing_from_there(program: Path, home: Path, tmp_path: Path) -> None:
    (tmp_path / "backend.py").write_text("raise SystemExit('the wrong backend')")
    (tmp_path / "json.py").write_text("raise SystemExit('the wrong json')")
    before = ["/usr/bin/env", "-C", str(tmp_path)]
    with running_engine(program, home, "--", "--port", "0", before=before) as (engine, _):
        assert Path(f"/proc/{engine.process.pid}/cwd").readlink() == tmp_path
        assert close(engine) == 0


def test_the_resources_hold_what_electron_is_promised(resources: Path, manifest: Manifest) -> None:
    names = {path.name for path in resources.iterdir()}
    assert {"peft_engine", "_internal", MANIFEST_NAME, "index.json.zst", "engine.json"} <= names
    assert {part.name for part in manifest.parts} <= names
    assert os.access(resources / "peft_engine", os.X_OK)
