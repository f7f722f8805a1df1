"""Run a real backend process, talk to it, and stop it."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from websockets.sync.client import ClientConnection, connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

REPOSITORY = Path(__file__).parents[2]
TOKEN = "a-token-that-tests-know"
DEADLINE = 120.0  # seconds; far beyond what anything here takes, so that only a hang reaches it

# In place of `-m backend`: the first argument names constants and what they are to be.
WITH_CONSTANTS = """
import importlib, json, runpy, sys
for name, value in json.loads(sys.argv.pop(1)).items():
    module, _, constant = name.rpartition(".")
    getattr(importlib.import_module(module), constant)
    setattr(importlib.import_module(module), constant, value)
runpy.run_module("backend", run_name="__main__")
"""


@dataclass
class Backend:
    """A backend process, and a client of it; `described`: each answer has to be as the API's description says."""

    process: subprocess.Popen[str]
    data_dir: Path
    stderr: Path
    token: str | None
    listening: dict[str, Any] = field(default_factory=dict)
    described: bool = True

    @property
    def port(self) -> int:
        return int(self.listening["port"])

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.token is None else {"Authorization": f"Bearer {self.token}"}

    def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request with the token; `headers` given here replace those of the same name."""
        headers = self.headers | options.pop("headers", {})
        answer = httpx.request(method, f"http://{self.host}{path}", headers=headers, timeout=DEADLINE, **options)
        if self.described:
            from tests.builders.description import require_described

            require_described(answer)
        return answer

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.call("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.call("POST", path, **options)

    def websocket(self, path: str, **options: Any) -> ClientConnection:
        """Return a client that reads all that arrives: one whose queue is full hears of no close for ten seconds."""
        headers = self.headers | options.pop("headers", {})
        return connect(f"ws://{self.host}{path}", additional_headers=headers, max_queue=None, **options)

    def train(self, **body: Any) -> str:
        """Start a training; return the job's id."""
        answer = self.post("/api/training/start", json=body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["job_id"])

    def job(self, job_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"/api/training/{job_id}").json()
        return found

    def wait_for_job(self, job_id: str, *states: str) -> dict[str, Any]:
        """Wait until the job is in one of the states; return it."""
        wait_until(lambda: self.job(job_id)["state"] in states, f"job {job_id} is {' or '.join(states)}")
        return self.job(job_id)

    def wait_for_steps(self, job_id: str, more: int) -> None:
        """Wait until the job has told of so many steps more than it had when we ask; fail if it ends before.

        Who comes late is told the steps of earlier workers too; those beyond the last are of the one at work.
        """
        told = self.job(job_id)["metrics"]
        step = more + (told[-1]["step"] if told else 0)
        with self.websocket(f"/ws/training/{job_id}") as socket:
            while True:
                frame = json.loads(socket.recv(timeout=DEADLINE))
                assert frame.get("data", {}).get("state") not in {"failed", "completed"}, self.job(job_id)
                if frame["type"] == "training_update" and frame["data"]["step"] >= step:
                    return

    def wait(self) -> int:
        """Wait until the process ends; return its exit status."""
        return self.process.wait(timeout=DEADLINE)


def wait_until(true: Callable[[], bool], what: str) -> None:
    """Ask again and again until the answer is yes; fail after DEADLINE."""
    end = time.monotonic() + DEADLINE
    while not true():
        assert time.monotonic() < end, f"waited {DEADLINE} s in vain until {what}"
        time.sleep(0.02)


def clean_environment(**changes: str) -> dict[str, str]:
    """Return the environment without what steers Python or the backend, and with the changes.

    Bytecode is not written, as the launcher has it: nothing may add a file to an installed runtime. Models as small
    as ours train faster on one thread than on several that wait for each other.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PEFT_STUDIO_"))}
    return kept | {"PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"} | changes


def run(python: Path, *arguments: Path | str) -> str:
    """Run a program of this repository to its end; return what it printed."""
    ended = subprocess.run(
        [python, *arguments], env=clean_environment(), capture_output=True, text=True, timeout=DEADLINE
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def launch(
    python: Path,
    data_dir: Path,
    *options: str,
    port: int = 0,
    token: str | None = TOKEN,
    environment: Mapping[str, str] | None = None,
    flags: tuple[str, ...] = (),
    constants: Mapping[str, float] | None = None,
    cwd: Path = REPOSITORY,
) -> Backend:
    """Start a backend with `--json` and return at once.

    `token` of None leaves PEFT_STUDIO_TOKEN unset. `constants` of the server, by their whole names, have these values
    instead of their own: times that no test may depend on. In the repository as `cwd` the checkout's backend runs,
    elsewhere the one that is installed with `python`.
    """
    given = {} if token is None else {"PEFT_STUDIO_TOKEN": token}
    program = ["-m", "backend"] if constants is None else ["-c", WITH_CONSTANTS, json.dumps(constants)]
    with tempfile.NamedTemporaryFile("w", prefix="backend-", suffix=".stderr", delete=False) as errors:
        process = subprocess.Popen(
            [python, *flags, *program, "--json", "--port", str(port), "--data-dir", data_dir, *options],
            cwd=cwd,
            env=clean_environment(**given, **(environment or {})),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    return Backend(process, data_dir, Path(errors.name), token)


def first_event(backend: Backend) -> dict[str, Any]:
    """Wait for the backend's first event."""
    assert backend.process.stdout is not None
    watchdog = threading.Timer(DEADLINE, backend.process.kill)
    watchdog.start()
    try:
        line = backend.process.stdout.readline()
    finally:
        watchdog.cancel()
    assert line, f"no event; stderr:\n{backend.stderr.read_text()}"
    event: dict[str, Any] = json.loads(line)
    return event


@contextmanager
def running_backend(python: Path, data_dir: Path, *options: str, **how: Any) -> Iterator[Backend]:
    """Give a backend that listens. Afterwards it is gone, whatever happened, and it has met no bug of ours."""
    backend = launch(python, data_dir, *options, **how)
    try:
        backend.listening = first_event(backend)
        assert backend.listening["event"] == "listening", backend.listening
        yield backend
        assert "Traceback" not in backend.stderr.read_text(), backend.stderr.read_text()
    finally:
        end(backend)


def end(backend: Backend) -> None:
    """End the process, if it still runs, and close its pipes."""
    backend.process.kill()
    with backend.process:
        pass
    backend.stderr.unlink()
