"""LoRA and QLoRA on NVIDIA GPUs: `python -m tests.bench_gpu [MODEL]`. Prints a table; judges nothing.

MODEL is a model's folder; without it, a Llama of 1.1 billion random parameters is made. It needs a machine with a GPU
and the staged engine of a CUDA build, which is installed into a folder under build/ for this.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from launcher.platforms import Platform
from pack.pipeline import read_manifest
from tests.builders import models
from tests.builders.backend import REPOSITORY, Backend, clean_environment, running_backend

STEPS = 50
SETTINGS: dict[str, Any] = {"batch_size": 8, "max_steps": STEPS, "max_seq_length": 64, "learning_rate": 2e-4}
WAYS: dict[str, dict[str, Any]] = {
    "LoRA": {"method": "lora"},
    "DoRA": {"method": "dora"},
    "LoRA, 8-bit weights": {"method": "lora", "quantization": "8bit"},
    "QLoRA, 4-bit weights": {"method": "qlora"},
    "QLoRA, gradient checkpointing": {"method": "qlora", "gradient_checkpointing": True},
}


def main(model: Path | None) -> int:
    """Measure and print; return 1 where this machine or this build has no CUDA."""
    resources = REPOSITORY / "dist" / Platform.current() / "resources"
    with tempfile.TemporaryDirectory(prefix="bench-", dir=REPOSITORY / "build") as name:
        folder = Path(name)
        home = folder / "home"
        subprocess.run([resources / Platform.current().program, "--install", "--quiet", "--home", home], check=True)
        manifest = read_manifest(resources)
        python = home / "rt" / manifest.slot_name / manifest.platform.python
        with running_backend(python, folder / "data", cwd=folder) as backend:
            profile = backend.get("/api/hardware").json()
            if not profile["cuda_available"]:
                print(f"No CUDA: {len(profile['gpus'])} GPUs, the engine's accelerator is {manifest.accelerator}.")
                return 1
            made = [] if model else ["--larger", "large", "2048", "22"]
            material = folder / "material"
            subprocess.run([python, models.__file__, material, *made], check=True, env=clean_environment())
            measure(backend, profile, material, model or material / "large")
    return 0


def measure(backend: Backend, profile: dict[str, Any], material: Path, model: Path) -> None:
    """Train in each way, with one GPU and with all, and print a row for each."""
    for gpu in profile["gpus"]:
        print(
            f"{gpu['name']}, {gpu['memory_total_gb']} GiB, driver {gpu['driver_version']}, CUDA {gpu['cuda_version']}"
        )
    print("\n| way | GPUs | steps/s | peak GPU memory, MB | first loss | last loss |\n|---|--:|--:|--:|--:|--:|")
    for way, settings in WAYS.items():
        for count in sorted({1, len(profile["gpus"])}):
            body = SETTINGS | settings | {"model": str(model), "dataset": str(material / "dataset.jsonl")}
            job = backend.wait_for_job(
                backend.train(**body, nproc_per_node=count), "completed", "failed", "interrupted"
            )
            if job["state"] != "completed":
                print(f"| {way} | {count} | {job['error']['message']} | | | |", flush=True)
                continue
            print(f"| {way} | {count} | {row(job['metrics'])} |", flush=True)


def row(metrics: list[dict[str, Any]]) -> str:
    """Return the figures of one training; the first steps, in which kernels are chosen, are left out of the rate."""
    counted = metrics[len(metrics) // 5 :]
    rate = (len(counted) - 1) / (counted[-1]["elapsed_time"] - counted[0]["elapsed_time"])
    peak = max((sum(step["gpu_memory_used"]) for step in metrics), default=0) / 1e6
    return f"{rate:.2f} | {peak:.0f} | {metrics[0]['loss']:.3f} | {metrics[-1]['loss']:.3f}"


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else None))
