"""The report for support: written whatever is broken, whole or not at all, and nobody's business but support's."""

from __future__ import annotations

import json
import os
import shutil
import socket
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from launcher.support import LOG_BYTES
from tests.builders.disks import small_disk
from tests.builders.installed import DAMAGE_TO_FILES
from tests.builders.launching import ask, running, tree, wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.builders.installed import Packed

PEOPLE = {"HOME": "/srv/people/jane.doe", "USER": "jane.doe", "PEFT_STUDIO_TOKEN": "t0ps3cr3t-of-this-start"}


def told(file: Path) -> dict[str, str]:
    """Return the texts of a report by name."""
    with zipfile.ZipFile(file) as zipped:
        assert zipped.testzip() is None
        return {name: zipped.read(name).decode() for name in zipped.namelist()}


def value(file: Path, name: str) -> Any:
    return json.loads(told(file)[name])


@pytest.fixture
def worked(installed: Path) -> Path:
    """A home with somebody's work, logs and secrets in it."""
    (installed / "data/datasets").mkdir(parents=True)
    (installed / "data/datasets/patients.jsonl").write_text("never to be seen by anybody")
    (installed / "data/token").write_text("a1b2c3d4e5f60718a1b2c3d4e5f60718")
    (installed / "logs/backend.log").write_text(
        "INFO opened /srv/people/jane.doe/model by jane.doe\nINFO hub token hf_abcdefghijklmnopqrstuvwxyz01234567\n"
        f"INFO Authorization: Bearer a1b2c3d4e5f60718a1b2c3d4e5f60718 from {socket.gethostname()}\n"
        "ERROR CUDA out of memory: jane@example.com tried https://jane:pw@models.example.com\n"
    )
    (installed / "logs/backend.log.1").write_text("INFO an older line\n")
    return installed


def test_holds_what_support_asks_for_and_nothing_private(packed: Packed, worked: Path, tmp_path: Path) -> None:
    DAMAGE_TO_FILES["changed"][0](packed.slot(worked) / "lib/ballast.bin")
    file = tmp_path / "report.zip"
    answer = ask(packed.resources, worked, "--support-report", str(file), environment=PEOPLE).last("result")
    assert answer["unread"] == {}
    assert answer["bytes"] == file.stat().st_size
    found = told(file)
    assert sorted(found) == answer["contents"]
    receipt = f"receipts/{packed.manifest.slot_name}.json"
    assert {"status.json", "survey.json", "machine.json", "manifest.json", receipt, "logs/launcher.log",
            "logs/backend.log", "logs/backend.log.1"} <= found.keys()  # fmt: skip
    assert value(file, "survey.json").items() >= {"found": "damaged", "byKind": {"changed": 1}}.items()
    assert value(file, "survey.json")["first"] == [{"path": "lib/ballast.bin", "kind": "changed"}]
    assert value(file, "status.json")["runtime"] == packed.manifest.runtime
    machine = value(file, "machine.json")
    assert machine["memory"] > 0
    assert machine["free"] > 0
    assert machine["fileSystem"]
    assert {"PEFT_STUDIO_TOKEN", "PATH"} <= set(machine["environment"])
    everything = "\n".join([*found, *found.values()])
    for private in (*PEOPLE.values(), "never to be seen", "patients", "a1b2c3d4e5f60718", "hf_abc", "jane", ":pw@"):
        assert private not in everything
    assert "ERROR CUDA out of memory: <e-mail> tried https://<credentials>@models.example.com" in everything
    assert "INFO opened ~/model by <user>" in everything


@pytest.mark.parametrize(
    "broken", ["no home", "no resources", "no manifest", "no index", "a file for a home", "receipts"]
)
def test_is_written_whatever_is_broken(broken: str, harmed: Path, packed: Packed, home: Path, tmp_path: Path) -> None:
    match broken:
        case "no resources":
            shutil.rmtree(harmed)
        case "no manifest":
            (harmed / "manifest.json").write_text("{")
        case "no index":
            (harmed / packed.manifest.index.name).unlink()
        case "a file for a home":
            home.write_text("in the way")
        case "receipts":
            home.mkdir()
            (home / "receipts").write_text("in the way")
    before = tree(tmp_path)
    file = tmp_path / "report.zip"
    answer = ask(harmed, home, "--support-report", str(file))
    assert answer.status == 0
    unread = answer.last("result")["unread"]
    assert bool(unread) == (broken in {"no resources", "no manifest", "no index"}), unread
    assert value(file, "unread.json") == unread
    file.unlink()
    assert tree(tmp_path) == before, "whoever looks changes nothing"


def test_says_what_could_not_be_read(packed: Packed, worked: Path, tmp_path: Path) -> None:
    (worked / "logs/backend.log").chmod(0)
    file = tmp_path / "report.zip"
    answer = ask(packed.resources, worked, "--support-report", str(file))
    assert answer.last("result")["unread"] == {"logs/backend.log": "Permission denied"}
    assert "an older line" in told(file)["logs/backend.log.1"]


@pytest.mark.root
def test_is_written_of_a_home_that_is_read_only(packed: Packed, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "size=1m,ro") as home:
        assert ask(packed.resources, home, "--support-report", str(tmp_path / "report.zip")).status == 0
    assert value(tmp_path / "report.zip", "status.json")["state"] == "missing"


def test_a_home_that_is_not_connected_is_told(packed: Packed, tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old/location").write_text(f"{tmp_path / 'gone'}\n")
    assert ask(packed.resources, tmp_path / "old", "--support-report", str(tmp_path / "report.zip")).status == 0
    status = value(tmp_path / "report.zip", "status.json")
    assert (status["state"], status["problem"]["code"]) == ("unknown", "home-missing")
    assert str(tmp_path / "gone") in told(tmp_path / "report.zip")["location"]


def test_the_ends_of_long_logs_are_taken_from_a_line_on(packed: Packed, worked: Path, tmp_path: Path) -> None:
    (worked / "logs/backend.log").write_text("first\n" + "0123456789 a line\n" * (LOG_BYTES // 10))
    ask(packed.resources, worked, "--support-report", str(tmp_path / "report.zip"))
    text = told(tmp_path / "report.zip")["logs/backend.log"]
    assert LOG_BYTES - 20 < len(text) <= LOG_BYTES
    assert set(text.splitlines()) == {"0123456789 a line"}


@pytest.mark.root
def test_a_disk_that_is_full_is_named_and_nothing_left_on_it(packed: Packed, worked: Path, tmp_path: Path) -> None:
    (worked / "logs/backend.log").write_bytes(os.urandom(300_000))
    with small_disk(tmp_path / "disk", "size=40k") as disk:
        answer = ask(packed.resources, worked, "--support-report", str(disk / "report.zip"))
        assert answer.code == "place-unusable"
        assert "No space left on device" in answer.last("failed")["message"]
        assert not list(disk.iterdir())


@pytest.mark.parametrize("there", ["a file", "a folder", "nothing above it"])
def test_what_is_there_already_stays(there: str, packed: Packed, home: Path, tmp_path: Path) -> None:
    file = tmp_path / "thesis/report.zip"
    if there != "nothing above it":
        file.parent.mkdir()
    if there == "a file":
        file.write_text("mine")
    elif there == "a folder":
        file.mkdir()
    before = tree(tmp_path)
    answer = ask(packed.resources, home, "--support-report", str(file))
    assert answer.code == "place-unusable"
    assert tree(tmp_path) == before


def test_status_answers_whatever_it_finds(packed: Packed, home: Path, tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old/location").write_text(f"{tmp_path / 'gone'}\n")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    home.write_text("in the way")
    for place, code in ((tmp_path / "old", "home-missing"), (closed / "home", "home-not-writable"), (home, None)):
        answer = ask(packed.resources, place, "--status")
        assert answer.status == 0
        assert answer.last("result").get("problem", {}).get("code") == code
    closed.chmod(0o755)


def test_status_names_the_backend_that_runs_and_the_note_that_led_there(
    packed: Packed, installed: Path, tmp_path: Path
) -> None:
    assert ask(packed.resources, installed, "--status").last("result")["running"] is None
    assert ask(packed.resources, installed, "--move-home", str(tmp_path / "there")).status == 0
    with running(packed.resources, installed) as backend:
        pid = wait_for(backend, "listening")["pid"]
        status = ask(packed.resources, installed, "--status").last("result")
    assert (status["running"], status["state"]) == (pid, "ready")
    assert (status["home"], status["location"]) == (str(tmp_path / "there"), str(installed / "location"))
    assert status["free"] > 0
    assert status["bytes"] > 300_000
