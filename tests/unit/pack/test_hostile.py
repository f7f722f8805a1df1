"""The hostile places: each is as hostile as its name says, and takes its share in the one of them all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pack.hostile import LONG, Place, hostile_places, plain_place

ROOT = Path(__file__).parents[3]
SINGLE = ["spaces", "200 characters", "read-only", "PYTHONPATH", "library path", "no network", "no Python", "HOME"]


@pytest.fixture
def places(tmp_path: Path) -> dict[str, Place]:
    """Each place by the word in its name that tells it from the others; "all" has them all."""
    (tmp_path / "dist").mkdir()
    singles, everything = hostile_places(tmp_path / "scratch", tmp_path / "dist" / "resources")
    return {word: next(place for place in singles if word in place.name) for word in SINGLE} | {"all": everything}


def made(place: Place) -> None:
    if place.refusal:
        pytest.skip(place.refusal)


def test_each_place_is_hostile_in_one_way_and_plain_in_the_others(places: dict[str, Place], tmp_path: Path) -> None:
    plain = plain_place("", tmp_path / "plain").environment
    assert len(places) == len(SINGLE) + 1
    for word in ("spaces", "200 characters", "read-only", "no network"):
        assert places[word].environment.keys() == plain.keys()
        assert places[word].environment["PATH"] == plain["PATH"]
    assert all(
        place.environment.keys() >= {"PATH", "HOME"} for word, place in places.items() if word not in {"HOME", "all"}
    )


@pytest.mark.parametrize("place", ["spaces", "all"])
def test_the_path_has_several_words_and_scripts(places: dict[str, Place], place: str) -> None:
    assert {" ", "é", "日"} <= set(str(places[place].home))


@pytest.mark.parametrize("place", ["200 characters", "all"])
def test_the_path_is_long(places: dict[str, Place], place: str) -> None:
    made(places["200 characters"])
    assert len(str(places[place].home)) == LONG


@pytest.mark.parametrize("place", ["PYTHONPATH", "all"])
def test_an_interpreter_that_heeds_the_environment_is_trapped(places: dict[str, Place], place: str) -> None:
    traps = {name: places[place].environment[name] for name in ("PYTHONPATH", "PYTHONHOME")}
    for name, value in traps.items():
        run = subprocess.run(
            [sys.executable, "-c", "import json"], env={**os.environ, name: value}, capture_output=True
        )
        assert run.returncode != 0


@pytest.mark.skipif(
    sys.platform != "linux", reason="what a library path is called, and heeded by, is each system's own"
)
@pytest.mark.parametrize("place", ["library path", "all"])
def test_a_program_that_takes_libraries_from_the_environment_is_trapped(places: dict[str, Place], place: str) -> None:
    search = {"LD_LIBRARY_PATH": places[place].environment["LD_LIBRARY_PATH"]}
    run = subprocess.run([sys.executable, "-c", "import zlib"], env=search, capture_output=True, text=True)
    assert "libraries/lib" in run.stderr


@pytest.mark.parametrize("place", ["no Python", "all"])
def test_path_leads_to_no_program_at_all(places: dict[str, Place], place: str) -> None:
    assert os.listdir(places[place].environment["PATH"]) == []  # noqa: PTH208 - one name, and it is empty


@pytest.mark.parametrize("place", ["HOME", "all"])
def test_nothing_says_where_the_user_lives(places: dict[str, Place], place: str) -> None:
    assert not places[place].environment.keys() & {"HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA"}


@pytest.mark.parametrize("place", ["read-only", "all"])
def test_nothing_writes_beside_the_resources(places: dict[str, Place], place: str, tmp_path: Path) -> None:
    made(places["read-only"])
    assert places[place].run(["/bin/sh", "-c", f"echo x > '{tmp_path}/dist/x'"]).status != 0
    assert places[place].run(["/bin/sh", "-c", f"echo x > '{tmp_path}/x'"]).status == 0


@pytest.mark.parametrize("place", ["no network", "all"])
def test_no_route_leads_out(places: dict[str, Place], place: str) -> None:
    made(places["no network"])
    assert places[place].run(["/bin/cat", "/proc/net/route"]).output.count("\n") <= 1


@pytest.mark.parametrize("place", ["no network", "read-only", "all"])
def test_a_visitor_reaches_the_place_s_own_loopback(places: dict[str, Place], place: str) -> None:
    made(places["no network" if place == "all" else place])
    talk = "s = socket.create_server(('127.0.0.1', 0)); socket.create_connection(s.getsockname()); print('reached')"
    program = f"import socket; from pack.visit import raise_loopback; raise_loopback(); {talk}"
    said = places[place].run([sys.executable, "-c", program], environment={"PYTHONPATH": str(ROOT)})
    assert said.output == "reached\n", said.errors


def test_what_cannot_be_made_here_says_why_and_is_left_out_of_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)  # a system without unshare
    singles, everything = hostile_places(tmp_path / "scratch", tmp_path / "resources")
    refused = {place.name: place.refusal for place in singles if place.refusal}
    assert refused.keys() >= {"no network", "a read-only folder around the resources"}
    assert refused["no network"] == "This system has no namespaces."
    assert everything.before == ()
    assert everything.refusal == ""
