"""The whole line once, as its users meet it: build, first start, second start, a LoRA, and a table of what it took.

Everything it makes lies under build/ and dist/; the user's own folders are not touched.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import mean
from typing import Any

from pack.console import ProgressLines
from pack.pipeline import Act, product, read_manifest
from tests.builders import models
from tests.builders.backend import wait_until
from tests.builders.engine import build_engine, close, running_engine, size_of, workspace_of_wheels

STEPS = 60
LEARNED = 0.7  # the mean loss over the last tenth of the steps, against the first, at most
TRAINING = {"max_steps": STEPS, "learning_rate": 2e-2, "batch_size": 8, "lora_dropout": 0.0, "seed": 7}
# Runs in the packed runtime: how far the adapter moves the base model's answer to one sentence.
COMPARE = """
import json, sys, torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer
model, adapter = sys.argv[1:]
tokens = AutoTokenizer.from_pretrained(model)("The red fox", return_tensors="pt")
base = AutoModelForCausalLM.from_pretrained(model)
with torch.no_grad():
    before = base(**tokens).logits
    after = PeftModel.from_pretrained(base, adapter)(**tokens).logits
print(json.dumps((before - after).abs().max().item()))
"""


class Table:
    """Steps with their seconds and bytes."""

    def __init__(self) -> None:
        self._rows: list[tuple[str, float, int | None]] = []
        self._last = time.monotonic()

    def add(self, step: str, size: int | None = None) -> None:
        """Note a step that ends now."""
        now = time.monotonic()
        self._rows.append((step, now - self._last, size))
        self._last = now

    def skip(self) -> None:
        """Leave what was done since the last step out of the next."""
        self._last = time.monotonic()

    def __str__(self) -> str:
        rows = [
            f"{step:<34} {seconds:8.1f} s {f'{size / 1e6:10.1f} MB' if size else '':>13}"
            for step, seconds, size in self._rows
        ]
        return "\n".join([f"{'step':<34} {'seconds':>10} {'bytes':>13}", *rows])


def main() -> int:
    """Run the demo; return the exit status."""
    table = Table()
    place = workspace_of_wheels()
    workspace = build_engine(
        Act.STAGE, ProgressLines(), lambda act: table.add(f"build: {act}", size_of(product(place, act)))
    )
    manifest = read_manifest(workspace.archive)
    folder = workspace.build / "demo"
    shutil.rmtree(folder, ignore_errors=True)
    home, material = folder / "a new user's home", folder / "material"
    engine = workspace.resources / workspace.platform.program
    # What training libraries would keep in the user's own folders.
    environment = {"HF_HOME": str(folder / "hub"), "HOME": str(folder)}

    print("The first start, as a new user's: the launcher unpacks the core, the rest follows behind it …", flush=True)
    table.skip()
    with running_engine(engine, home, environment=environment) as (backend, _):
        health = backend.get("/api/health").json()
        table.add("first start, to health 200")
        wait_until(lambda: backend.get("/api/engine").json()["part"] == "whole", "all of the engine is there")
        table.add("the rest of the engine", manifest.disk)
        close(backend)
    table.skip()
    with running_engine(engine, home, environment=environment) as (backend, events):
        backend.get("/api/health")
        table.add("second start, to health 200")
        python = Path(next(event["argv"][0] for event in events if event["event"] == "starting"))
        subprocess.run([python, "-I", "-B", models.__file__, material], check=True, env=environment)
        table.add("make a model and a dataset", size_of(material))
        job = train(backend, material)
        table.add(f"LoRA, {STEPS} steps", size_of(Path(job["adapter_path"])))
        close(backend)
    answer = subprocess.run(
        [python, "-I", "-B", "-c", COMPARE, material / "model", job["adapter_path"]],
        check=True, capture_output=True, text=True, env=environment,
    )  # fmt: skip
    losses = [step["loss"] for step in job["metrics"] if "loss" in step]
    tenth = max(1, len(losses) // 10)
    print(f"\n{table}\n")
    print(f"health answer         {json.dumps(health)}")
    print(f"mean loss, first 10 % {mean(losses[:tenth]):.3f}")
    print(f"mean loss, last 10 %  {mean(losses[-tenth:]):.3f}")
    print(f"effect of the adapter {json.loads(answer.stdout):.3f} (largest change of a logit)")
    print(f"adapter               {job['adapter_path']}")
    print(f"resources             {workspace.resources}")
    if mean(losses[-tenth:]) > LEARNED * mean(losses[:tenth]):
        print(f"The adapter did not learn: the last loss should be at most {LEARNED} of the first.", file=sys.stderr)
        return 1
    return 0


def train(backend: Any, material: Path) -> dict[str, Any]:
    """Fine-tune the small model and say each tenth of the way; return the finished job."""
    job_id = backend.train(model=str(material / "model"), dataset=str(material / "dataset.jsonl"), **TRAINING)
    shown, show = 0, ProgressLines()

    def ended() -> bool:
        nonlocal shown
        job = backend.job(job_id)
        done = len(job["metrics"])
        if done >= shown + STEPS // 10:
            shown = done
            show("train", done, STEPS)
        return job["state"] not in {"queued", "running"}

    wait_until(ended, "the training ended")
    job: dict[str, Any] = backend.job(job_id)
    if job["state"] != "completed":
        raise SystemExit(f"the training ended as {job['state']}: {job['error']}")
    return job


if __name__ == "__main__":
    sys.exit(main())
