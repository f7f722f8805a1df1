"""Secrets are kept by the system's keyring or not at all, and told to nobody."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tempfile
import threading
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from tests.builders.backend import Backend, clean_environment, running_backend, wait_until
from tests.builders.hub import PATIENT, running_hub

if TYPE_CHECKING:
    from collections.abc import Iterator

PYTHON = Path(sys.executable)
SECRET = "opaque-Words_that/look=like-nothing"
# A system's keyring, as far as keyring asks one: it waits until its user has unlocked it.
KEYRING = """
import json, pathlib, time
from keyring.backend import KeyringBackend
from keyring.errors import PasswordDeleteError
here = pathlib.Path(__file__).parent
class Keyring(KeyringBackend):
    priority = 5
    def _all(self):
        while (here / "locked").exists():
            time.sleep(0.01)
        kept = here / "kept.json"
        return json.loads(kept.read_text()) if kept.exists() else {}
    def get_password(self, service, name):
        return self._all().get(name)
    def set_password(self, service, name, value):
        (here / "kept.json").write_text(json.dumps(self._all() | {name: value}))
    def delete_password(self, service, name):
        if name not in (kept := self._all()):
            raise PasswordDeleteError
        del kept[name]
        (here / "kept.json").write_text(json.dumps(kept))
"""


@pytest.fixture
def desktop() -> Iterator[dict[str, str]]:
    """Give the environment of a desktop's session whose keyring, GNOME's own, is unlocked."""
    bus = ("dbus-daemon", "--session", "--nofork", "--print-address")
    with (
        tempfile.TemporaryDirectory() as folder,  # a socket's path has to be short
        subprocess.Popen(bus, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as session,
    ):
        assert session.stdout is not None
        address = session.stdout.readline().strip()
        environment = {"DBUS_SESSION_BUS_ADDRESS": address, "HOME": folder, "XDG_RUNTIME_DIR": folder}
        try:
            with subprocess.Popen(
                ["gnome-keyring-daemon", "--foreground", "--unlock", "--components=secrets"],
                env=clean_environment(**environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            ) as keyring:
                try:
                    assert keyring.stdin is not None
                    assert keyring.stdout is not None
                    keyring.stdin.write("password")
                    keyring.stdin.close()
                    keyring.stdout.read()  # it closes this once it is unlocked and the bus knows it
                    yield environment
                finally:
                    keyring.terminate()
        finally:
            session.terminate()


@pytest.fixture
def keyring(tmp_path: Path) -> Path:
    """The folder of a keyring."""
    folder = tmp_path / "keyring"
    folder.mkdir()
    (folder / "planted_keyring.py").write_text(KEYRING)
    return folder


def with_keyring(folder: Path) -> dict[str, str]:
    return {"PYTHONPATH": str(folder), "PYTHON_KEYRING_BACKEND": "planted_keyring.Keyring"}


def put(backend: Backend, name: str = "hub-token", value: str = SECRET) -> dict[str, Any]:
    answer = backend.call("PUT", f"/api/secrets/{name}", json={"value": value})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def everything_below(folder: Path) -> Iterator[bytes]:
    yield from (path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_the_hubs_token_is_kept_in_the_keyring_and_shown_to_the_hub_after_a_restart(
    tmp_path: Path, keyring: Path
) -> None:
    keep_show_and_forget(tmp_path, with_keyring(keyring))


@pytest.mark.skipif(not shutil.which("gnome-keyring-daemon"), reason="gnome-keyring is not installed")
def test_a_desktops_keyring_keeps_the_hubs_token(tmp_path: Path, desktop: dict[str, str]) -> None:
    keep_show_and_forget(tmp_path, desktop)


def keep_show_and_forget(tmp_path: Path, keyring: dict[str, str]) -> None:
    with running_hub() as hub:
        environment = keyring | {"HF_ENDPOINT": hub.url, "HF_HUB_CACHE": str(tmp_path / "cache")}
        with running_backend(PYTHON, tmp_path / "data", environment=environment) as backend:
            found = put(backend)
            assert found == {"secrets": [{"name": "hub-token", "kept_in": "keyring"}], "keyring_problem": None}
        with running_backend(PYTHON, tmp_path / "data", environment=environment, constants=PATIENT) as backend:

            def shows_it() -> bool:
                backend.post("/api/offline/check-connectivity")
                return hub.shown[-1] == f"Bearer {SECRET}"

            wait_until(shows_it, "the hub is shown the token")
            assert backend.call("DELETE", "/api/secrets/hub-token").json()["secrets"] == []
            backend.post("/api/offline/check-connectivity")
            assert hub.shown[-1] is None
            assert backend.call("DELETE", "/api/secrets/hub-token").json()["code"] == "secret-unknown"
    assert not any(SECRET.encode() in content for content in everything_below(tmp_path / "data"))


@pytest.mark.parametrize("kind", ["fail", "null"])
def test_without_a_keyring_a_secret_lives_as_long_as_the_backend(tmp_path: Path, kind: str) -> None:
    environment = {"PYTHON_KEYRING_BACKEND": f"keyring.backends.{kind}.Keyring", "HF_HUB_OFFLINE": "1"}
    with running_backend(PYTHON, tmp_path / "data", environment=environment) as backend:
        found = put(backend)
        assert found["secrets"] == [{"name": "hub-token", "kept_in": "session"}]
        assert found["keyring_problem"]["code"] == "no-keyring"
        assert "install one" in found["keyring_problem"]["remedy"]
    with running_backend(PYTHON, tmp_path / "data", environment=environment) as backend:
        assert backend.get("/api/secrets").json()["secrets"] == []
    assert not any(SECRET.encode() in content for content in everything_below(tmp_path))


def test_a_secret_is_in_no_command_line_log_answer_or_report(tmp_path: Path, keyring: Path) -> None:
    environment = with_keyring(keyring) | {"HF_HUB_OFFLINE": "1"}
    with running_backend(PYTHON, tmp_path / "data", environment=environment) as backend:
        put(backend)
        (keyring / "locked").touch()
        workers = _keyrings_at_work(backend, keyring)
        assert workers
        for words, variables in workers:
            assert SECRET not in " ".join(words)
            assert SECRET not in variables.values()
        shelf = backend.data_dir / "configurations"
        shelf.mkdir()
        name = "opaque-but-fit-for-a-file"
        put(backend, "other", name)
        for torn in (name, "Authorization: Bearer abcdefghij"):  # the log will name both
            (shelf / f"{torn}.json").write_text("{")
        backend.post("/api/configurations/library/list", json={})
        listed = backend.get("/api/logging/logs").text
        assert "[redacted]" in listed
        report = backend.post("/api/logging/diagnostic-report", json={}).json()
        with zipfile.ZipFile(io.BytesIO(backend.get(report["download_url"]).content)) as archive:
            texts = [listed, backend.stderr.read_text(), *(archive.read(one).decode() for one in archive.namelist())]
        texts.append((backend.data_dir / "logs" / "backend.log").read_text())
        for text in texts:
            assert name not in text
            assert "abcdefghij" not in text


def _keyrings_at_work(backend: Backend, keyring: Path) -> list[tuple[list[str], dict[str, str]]]:
    """Have the keyring asked while it is locked; return command line and environment of whoever asks."""
    asking = threading.Thread(target=put, args=(backend, "another", SECRET))
    asking.start()
    found: list[tuple[list[str], dict[str, str]]] = []

    def at_work() -> bool:
        children = psutil.Process(backend.process.pid).children()
        found[:] = [(one.cmdline(), one.environ()) for one in children if "keyring" in one.cmdline()]
        return bool(found)

    wait_until(at_work, "the keyring is asked")
    (keyring / "locked").unlink()
    asking.join()
    return found
