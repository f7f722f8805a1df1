"""How a backend starts, refuses to start, and ends: real processes."""

from __future__ import annotations

import contextlib
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.builders.backend import DEADLINE, REPOSITORY, clean_environment, end, first_event, launch, running_backend

if TYPE_CHECKING:
    from collections.abc import Iterator

PYTHON = Path(sys.executable)


def failure(data_dir: Path, *options: str, **how: Any) -> tuple[dict[str, Any], int]:
    """Start a backend that cannot start; return its event and its exit status."""
    backend = launch(PYTHON, data_dir, *options, **how)
    try:
        return first_event(backend), backend.wait()
    finally:
        end(backend)


@contextlib.contextmanager
def taken(*ports: int) -> Iterator[None]:
    """Hold the ports, as far as nobody else holds them already."""
    with contextlib.ExitStack() as stack:
        for port in ports:
            listener = stack.enter_context(socket.socket())
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                listener.bind(("127.0.0.1", port))
                listener.listen()
        yield


def test_listening_is_said_when_the_backend_answers(tmp_path: Path) -> None:
    with running_backend(PYTHON, tmp_path / "data") as backend:
        assert backend.listening == {
            "v": 1,
            "event": "listening",
            "host": "127.0.0.1",
            "port": backend.port,
            "pid": backend.process.pid,
            "version": backend.listening["version"],
        }
        assert backend.get("/api/health").status_code == 200


def test_without_json_a_person_reads_the_address(tmp_path: Path) -> None:
    ended = subprocess.run(
        [PYTHON, "-m", "backend", "--port", "0", "--until-eof", "--data-dir", tmp_path / "data"],
        cwd=REPOSITORY,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert ended.returncode == 0, ended.stderr
    assert "answers at http://127.0.0.1:" in ended.stdout


def test_a_taken_port_has_a_stand_in(tmp_path: Path) -> None:
    with taken(8000), running_backend(PYTHON, tmp_path / "data", port=8000) as backend:
        assert 8001 <= backend.port <= 8010
        assert backend.get("/api/health").status_code == 200


def test_with_the_whole_range_taken_the_error_names_range_and_holder(tmp_path: Path) -> None:
    with taken(*range(8000, 8011)):
        event, status = failure(tmp_path / "data", port=8000)
    assert status == 60
    assert event["code"] == "ports-taken"
    assert "Ports 8000–8010 are taken" in event["message"]
    assert "(PID " in event["message"]
    assert "--port" in event["remedy"]


def test_a_data_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    event, status = failure(tmp_path / "file" / "data")
    assert status == 61
    assert event["code"] == "data-dir-not-writable"
    assert event["path"] == str(tmp_path / "file" / "data")
    assert event["log"] is None


def test_an_address_of_another_machine_is_refused(tmp_path: Path) -> None:
    event, status = failure(tmp_path / "data", "--host", "203.0.113.1")
    assert status == 62
    assert event["code"] == "address-not-available"


def test_a_missing_module_is_named(tmp_path: Path) -> None:
    # -S leaves site-packages out: the interpreter of an installation whose packages are gone.
    event, status = failure(tmp_path / "data", flags=("-S",))
    assert status == 63
    assert event["code"] == "module-missing"
    assert "uvicorn" in event["message"]
    assert "--repair" in event["remedy"]
    assert Path(event["log"]).is_file()


def test_the_end_of_stdin_ends_it(tmp_path: Path) -> None:
    with running_backend(PYTHON, tmp_path / "data", "--until-eof") as backend:
        assert backend.process.stdin is not None
        backend.process.stdin.close()
        assert backend.wait() == 0


def test_without_until_eof_the_end_of_stdin_means_nothing(tmp_path: Path) -> None:
    with running_backend(PYTHON, tmp_path / "data") as backend:
        assert backend.process.stdin is not None
        backend.process.stdin.close()
        assert backend.get("/api/system/info").status_code == 200
        assert backend.process.poll() is None


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_ends_it(tmp_path: Path, sent: signal.Signals, status: int) -> None:
    with running_backend(PYTHON, tmp_path / "data") as backend:
        backend.process.send_signal(sent)
        assert backend.wait() == status


def test_shutdown_ends_it_and_answers_first(tmp_path: Path) -> None:
    with running_backend(PYTHON, tmp_path / "data") as backend:
        assert backend.post("/api/shutdown").json() == {"status": "stopping"}
        assert backend.wait() == 0


def test_an_open_websocket_does_not_keep_it_alive(tmp_path: Path) -> None:
    with running_backend(PYTHON, tmp_path / "data") as backend, backend.websocket("/ws/training/none"):
        backend.process.terminate()
        assert backend.wait() == 0


def test_the_attempt_is_removed_once_it_listens(tmp_path: Path) -> None:
    attempt = tmp_path / "attempt.json"
    attempt.write_text("{}")
    with running_backend(PYTHON, tmp_path / "data", environment={"PEFT_STUDIO_ATTEMPT": str(attempt)}):
        assert not attempt.exists()


def test_the_attempt_stays_after_a_start_that_damage_may_have_stopped(tmp_path: Path) -> None:
    attempt = tmp_path / "attempt.json"
    attempt.write_text("{}")
    failure(tmp_path / "data", flags=("-S",), environment={"PEFT_STUDIO_ATTEMPT": str(attempt)})
    assert attempt.exists()


@pytest.mark.parametrize("options", [("--help",), ("--bogus",), ("--port", "abc"), ("--data-dir", "")])
def test_a_command_line_that_starts_nothing_is_no_failed_attempt(tmp_path: Path, options: tuple[str, ...]) -> None:
    attempt = tmp_path / "attempt.json"
    attempt.write_text("{}")
    environment = clean_environment(PEFT_STUDIO_ATTEMPT=str(attempt))
    run = subprocess.run([PYTHON, "-m", "backend", *options], env=environment, cwd=REPOSITORY, capture_output=True)
    assert run.returncode == (0 if options == ("--help",) else 2)
    assert not attempt.exists()


def test_the_attempt_is_removed_after_a_start_that_no_repair_would_mend(tmp_path: Path) -> None:
    attempt = tmp_path / "attempt.json"
    attempt.write_text("{}")
    failure(tmp_path / "data", "--host", "203.0.113.1", environment={"PEFT_STUDIO_ATTEMPT": str(attempt)})
    assert not attempt.exists()


def test_logs_go_to_stderr_and_to_the_homes_folder(tmp_path: Path) -> None:
    home = {"PEFT_STUDIO_HOME_STATE": str(tmp_path / "home")}
    with running_backend(PYTHON, tmp_path / "data", environment=home) as backend:
        backend.process.terminate()
        assert backend.wait() == 0
        assert "SIGTERM" in backend.stderr.read_text()
    assert "SIGTERM" in (tmp_path / "home" / "logs" / "backend.log").read_text()


def test_a_token_of_our_own_is_for_this_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "data" / "token"
    path.parent.mkdir()
    path.write_text("left by an earlier start, and readable by everybody")
    path.chmod(0o644)
    with running_backend(PYTHON, tmp_path / "data", token=None) as backend:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert backend.get("/api/system/info").status_code == 401
        backend.token = path.read_text()
        assert backend.get("/api/system/info").status_code == 200


def test_a_token_from_the_environment_is_not_written_down(tmp_path: Path) -> None:
    with running_backend(PYTHON, tmp_path / "data") as backend:
        assert backend.get("/api/system/info").status_code == 200
        assert not (tmp_path / "data" / "token").exists()


def test_no_token_switches_it_off(tmp_path: Path) -> None:
    with running_backend(PYTHON, tmp_path / "data", "--no-token", token=None) as backend:
        assert httpx.get(f"http://{backend.host}/api/system/info", timeout=DEADLINE).status_code == 200
        assert not (tmp_path / "data" / "token").exists()


def test_a_machine_joins_a_training_only_with_the_whole_engine(tmp_path: Path) -> None:
    slot = tmp_path / "home" / "rt" / "0123abcd" / "bin"
    slot.mkdir(parents=True)
    (slot / "python").symlink_to(Path(sys.executable).resolve())
    (slot.parent / "lib").symlink_to(Path(sys.prefix) / "lib", target_is_directory=True)
    (slot.parent / "pyvenv.cfg").write_text(f"home = {Path(sys.executable).resolve().parent}\n")
    backend = launch(
        slot / "python",
        tmp_path / "data",
        *("--join", "10.0.0.1:29500", "--rdzv-id", "night"),
        environment={"PEFT_STUDIO_HOME_STATE": str(tmp_path / "home")},
    )
    try:
        event, status = first_event(backend), backend.wait()
    finally:
        end(backend)
    assert (event["code"], status) == ("cannot-join", 64)
    assert "peft_engine --install" in event["remedy"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--join", "10.0.0.1:29500"), "--join needs --rdzv-id"),
        (("--join", "10.0.0.1", "--rdzv-id", "night"), "is no HOST:PORT"),
        (("--join", "10.0.0.1:29500", "--rdzv-id", "../up"), "is no id"),
        (("--join", "10.0.0.1:29500", "--rdzv-id", "night", "--node-rank", "0"), "is no number from 1"),
    ],
)
def test_a_wrong_way_to_join_is_explained(tmp_path: Path, options: tuple[str, ...], reason: str) -> None:
    command: list[str | Path] = [PYTHON, "-m", "backend", "--data-dir", tmp_path, *options]
    ended = subprocess.run(command, cwd=REPOSITORY, env=clean_environment(), capture_output=True, text=True)
    assert ended.returncode == 2
    assert reason in ended.stderr
