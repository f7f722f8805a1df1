"""What the backend costs: `python -m tests.bench_backend [ROUNDS]`. Prints tables; judges nothing.

It runs with the interpreter of the staged engine's runtime, installed into a folder under build/ for this. What is
compared takes turns, since nothing else on the machine holds still.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from statistics import mean, median, quantiles
from typing import TYPE_CHECKING, Any

import httpx
import psutil

from launcher.platforms import Platform
from pack.pipeline import read_manifest
from tests.builders import models
from tests.builders.backend import DEADLINE, REPOSITORY, Backend, clean_environment, running_backend, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

PLAIN_SCRIPT = Path(models.__file__).with_name("plain_training.py")
MB = 1e6
CALLS = 1000
PATHS = ("/api/health", "/api/dependencies", "/api/hardware/profile", "/api/engine", "/api/training/list")
ENDED = ("completed", "failed", "interrupted")
PAUSE = 0.005  # seconds between two questions to a busy backend

BARE = """
import sys, uvicorn
from fastapi import FastAPI
app = FastAPI()
@app.get("/api/health")
async def health():
    return {"status": "healthy"}
uvicorn.run(app, port=int(sys.argv[1]), log_config=None, access_log=False)
"""
# Two more Llamas, by width and depth: one whose step takes a processor some tenths of a second, and one to be loaded.
LARGER, LARGEST = ("larger", "384", "4"), ("largest", "1024", "16")
# The two rows of the table of steps: a training of many quick steps, and one of slower ones.
TRAININGS: dict[str, dict[str, Any]] = {
    "model": {**models.SETTINGS, "max_steps": 300},
    "larger": {**models.SETTINGS, "max_steps": 30, "learning_rate": 1e-4},
}


def main(rounds: int) -> int:
    """Measure and print."""
    build = REPOSITORY / "build"
    resources = REPOSITORY / "dist" / Platform.current() / "resources"
    with tempfile.TemporaryDirectory(prefix="bench-", dir=build) as name:
        folder = Path(name)
        home = folder / "home"
        subprocess.run([resources / Platform.current().program, "--install", "--quiet", "--home", home], check=True)
        manifest = read_manifest(resources)
        python = home / "rt" / manifest.slot_name / manifest.platform.python
        material = make_material(python, folder / "material")
        print(f"processor cores: {psutil.cpu_count()}, load before: {psutil.getloadavg()[0]:.1f}\n")
        start_table(python, folder, rounds)
        with running_backend(python, folder / "data", cwd=folder, environment={"HF_HUB_OFFLINE": "1"}) as backend:
            backend.described = False  # what holds answers to it takes this process a second, and others wait
            calm_table(backend)
            health_table(backend, material)
            memory_table(backend, material)
            steps_table(python, backend, material, folder, rounds)
    return 0


def make_material(python: Path, folder: Path) -> Path:
    """Make the tests' models and dataset, and two larger models."""
    command: list[str | Path] = [python, str(models.__file__), folder, "--larger", *LARGER, "--larger", *LARGEST]
    subprocess.run(command, check=True, env=clean_environment())
    return folder


def start_table(python: Path, folder: Path, rounds: int) -> None:
    """Print the seconds from exec to the first 200, beside the least that FastAPI and uvicorn take."""
    ours, bare = [], []
    for number in range(rounds + 1):
        bare.append(to_first_answer([python, "-c", BARE], folder))
        ours.append(
            to_first_answer(
                [python, "-m", "backend", "--no-token", "--data-dir", folder / f"d{number}", "--port"], folder
            )
        )
    print("| exec to the first 200, s | median | least | most |\n|---|--:|--:|--:|")
    for what, times in (
        ("FastAPI and uvicorn alone", bare[1:]),
        ("the backend", ours[1:]),
    ):  # the first warms the cache
        print(f"| {what} | {median(times):.2f} | {min(times):.2f} | {max(times):.2f} |")
    print(flush=True)


def to_first_answer(command: list[Any], folder: Path) -> float:
    """Start a server at a free port, the last argument, and return the seconds until it answers."""
    port = free_port()
    began = time.monotonic()
    process = subprocess.Popen(
        [*command, str(port)], cwd=folder, env=clean_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_until(lambda: answers(port), "the server answers")
    took = time.monotonic() - began
    process.kill()
    process.wait()
    return took


def answers(port: int) -> bool:
    """Whether a server answers at the port."""
    connection = HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    try:
        connection.request("GET", "/api/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def free_port() -> int:
    """Return a port that was free a moment ago."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def calm_table(backend: Backend) -> None:
    """Print what an idle backend holds, and how it takes a thousand calls."""
    answers(backend.port)
    process = psutil.Process(backend.process.pid)
    print("| idle backend | MB |\n|---|--:|")
    print(f"| resident after the first answer | {process.memory_info().rss / MB:.0f} |")
    with httpx.Client(base_url=f"http://{backend.host}", headers=backend.headers, timeout=DEADLINE) as client:
        began = time.monotonic()
        statuses = [client.get(PATHS[number % len(PATHS)]).status_code for number in range(CALLS)]
        took = time.monotonic() - began
    print(f"| resident after {CALLS} calls | {process.memory_info().rss / MB:.0f} |\n")
    wrong = len([status for status in statuses if status != 200])
    print(
        f"{CALLS} calls of {len(PATHS)} routes, one after the other: {took:.1f} s, {wrong} of them not 200\n",
        flush=True,
    )


def health_table(backend: Backend, material: Path) -> None:
    """Print how long /api/health takes while nothing happens, while a model loads, and while a job trains."""
    print("| /api/health | answers | median, ms | p99, ms | most, ms |\n|---|--:|--:|--:|--:|")
    with asked_all_the_time(backend) as seconds:
        time.sleep(5)
    print_answers("idle", seconds)
    with asked_all_the_time(backend) as seconds:
        entry = load(backend, material / "largest")
    print_answers("while a model of 940 MB loads", seconds)
    unload(backend, entry)
    for name, what in (
        ("model", "while a job trains a small model"),
        ("larger", "while a job trains a larger model"),
    ):
        with asked_all_the_time(backend) as seconds:
            train(backend, material, name)
        print_answers(what, seconds)
    print(flush=True)


@contextmanager
def asked_all_the_time(backend: Backend) -> Iterator[list[float]]:
    """Give the seconds of each answer of /api/health, asked again and again by a thread meanwhile."""
    seconds: list[float] = []
    enough = threading.Event()

    def ask() -> None:
        while not enough.wait(PAUSE):
            began = time.perf_counter()
            assert answers(backend.port)
            seconds.append(time.perf_counter() - began)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield seconds
    finally:
        enough.set()
        asking.join()


def print_answers(what: str, seconds: list[float]) -> None:
    """Print one row."""
    cuts = [cut * 1e3 for cut in quantiles(seconds, n=100)]
    print(f"| {what} | {len(seconds)} | {cuts[49]:.1f} | {cuts[98]:.1f} | {max(seconds) * 1e3:.1f} |")


def memory_table(backend: Backend, material: Path) -> None:
    """Print what backend and model hold before, while and after the model is loaded."""
    print("| backend and its processes | MB |\n|---|--:|")
    print(f"| before | {held(backend):.0f} |")
    entry = load(backend, material / "largest")
    asked = {"model_id": entry, "prompt": "The red fox", "max_tokens": 2}
    assert backend.post("/api/inference/generate", json=asked).status_code == 200  # weights are read when first used
    print(f"| a model of 940 MB is loaded | {held(backend):.0f} |")
    unload(backend, entry)
    print(f"| after it was unloaded | {held(backend):.0f} |\n", flush=True)


def held(backend: Backend) -> float:
    """Return the memory that is the backend's and its processes' own, in MB."""
    process = psutil.Process(backend.process.pid)
    return sum(float(one.memory_full_info().uss) for one in (process, *process.children(recursive=True))) / MB


def load(backend: Backend, model: Path) -> str:
    """Load a model; return its name."""
    answer = backend.post("/api/inference/load", json={"model_id": str(model)})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["model_id"])


def unload(backend: Backend, name: str) -> None:
    """Unload a model."""
    assert backend.post(f"/api/inference/models/{name}/unload").status_code == 200


def steps_table(python: Path, backend: Backend, material: Path, folder: Path, rounds: int) -> None:
    """Print steps a second, of the backend's jobs and of a plain script with the same settings, taking turns."""
    print("| LoRA, steps a second | plain script | backend | ratio |\n|---|--:|--:|--:|")
    for name in TRAININGS:
        pairs = []
        for number in range(rounds):
            ways = [plainly, by_backend] if number % 2 else [by_backend, plainly]
            rates = {way: way(python, backend, material, folder, name) for way in ways}
            plain, ours = rates[plainly], rates[by_backend]
            pairs.append((plain, ours))
            print(f"| {name}, round {number + 1} | {plain:.2f} | {ours:.2f} | {ours / plain:.3f} |", flush=True)
        plain, ours = (mean(rates) for rates in zip(*pairs, strict=True))
        print(f"| {name}, mean | {plain:.2f} | {ours:.2f} | {ours / plain:.3f} |")


def by_backend(_python: Path, backend: Backend, material: Path, _folder: Path, name: str) -> float:
    """Return the steps a second of a job, between the first step's log and the last one's."""
    metrics = train(backend, material, name)["metrics"]
    took: float = metrics[-1]["elapsed_time"] - metrics[0]["elapsed_time"]
    return (len(metrics) - 1) / took


def plainly(python: Path, _backend: Backend, material: Path, folder: Path, name: str) -> float:
    """Return the steps a second of a plain script, between the same."""
    settings = TRAININGS[name] | {
        "model": str(material / name),
        "dataset": str(material / "dataset.jsonl"),
        "scratch": str(folder / "scratch"),
        "losses": str(folder / "losses.json"),
        "seconds": str(folder / "seconds.json"),
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    environment = clean_environment(HF_HUB_OFFLINE="1")
    subprocess.run([python, PLAIN_SCRIPT, folder / "settings.json"], check=True, env=environment, capture_output=True)
    return float((TRAININGS[name]["max_steps"] - 1) / json.loads((folder / "seconds.json").read_text()))


def train(backend: Backend, material: Path, name: str) -> dict[str, Any]:
    """Train to the end; return the job."""
    job_id = backend.train(model=str(material / name), dataset=str(material / "dataset.jsonl"), **TRAININGS[name])
    # It listens, as the app's monitor does: to ask for the whole job again and again would cost the backend more.
    with backend.websocket(f"/ws/training/{job_id}") as socket:
        while json.loads(socket.recv(timeout=DEADLINE)).get("data", {}).get("state") not in ENDED:
            pass
    job = backend.job(job_id)
    assert job["state"] == "completed", job["error"]
    return job


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5))
