"""Whatever a manifest says, a whole run of the launcher installs from it, or ends with an error that has a code."""

from __future__ import annotations

import io
import json
import os
import shutil
from contextlib import redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from launcher.__main__ import main
from tests.builders.documents import places, replaced
from tests.builders.packed_fixtures import packed

if TYPE_CHECKING:
    from pathlib import Path

    from tests.builders.installed import Packed

__all__ = ["packed"]
# What a changed manifest may speak of: other files than there are, or another computer than this.
OTHERS = {"archive-missing", "archive-damaged", "path-too-long", "system-too-old", "wrong-platform", "manifest-too-new"}
HALF = "\ud800"
TEXT = st.text(st.characters(), max_size=8)  # halves of characters, too, which JSON can name
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | TEXT
    | st.sampled_from(["0123456789abcdef" * 4, "", "..", "/x", HALF, "9" * 5000, "1.2", 0, 1, 10**30]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=4,
)
Way = tuple[str | int, ...]


@pytest.fixture(scope="module")
def changed(packed: Packed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Resources whose manifest is written anew for each example."""
    return shutil.copytree(packed.resources, tmp_path_factory.mktemp("changed") / "resources")


def install(packed: Packed, changed: Path, way: Way, value: object) -> tuple[int, dict[str, Any]]:
    """Run the launcher on a home that is not there yet, and return its status and its last event."""
    document = replaced(json.loads((packed.resources / "manifest.json").read_bytes()), way, value)
    (changed / "manifest.json").write_text(json.dumps(document))
    home, said = changed.parent / "home", io.StringIO()
    try:
        with redirect_stdout(said), redirect_stderr(io.StringIO()):
            status = main(["--json", "--install", "--resources", str(changed), "--home", str(home)], dict(os.environ))
    finally:
        shutil.rmtree(home, ignore_errors=True)
    return status, json.loads(said.getvalue().splitlines()[-1])


@settings(max_examples=100, deadline=None)
@given(choice=st.data())
def test_any_value_changed_is_installed_from_or_refused(choice: st.DataObject, packed: Packed, changed: Path) -> None:
    document = json.loads((packed.resources / "manifest.json").read_bytes())
    way = choice.draw(st.sampled_from(places(document)))
    status, last = install(packed, changed, way, choice.draw(VALUES))
    assert (last["event"], status) == ("result", 0) or last["code"] in OTHERS | {"manifest-invalid"}, last


WAYS: list[tuple[Way, object]] = [
    (("floor", "glibc"), "9" * 5000),
    (("floor", "cudaDriver"), "9" * 5000),
    (("parts", 0, "name"), HALF),
    (("index", "name"), HALF),
    (("environment",), {"NAME": {"value": HALF, "unlessSet": False}}),
    (("environment",), {HALF: {"value": "x", "unlessSet": False}}),
    (("core",), 0),
    (("core",), 10**9),
    (("entries",), 1),
    (("longestPath",), 1),
    (("disk",), 1),
]


@pytest.mark.parametrize(("way", "value"), WAYS)
def test_a_value_that_cannot_be_is_refused_at_its_place(way: Way, value: object, packed: Packed, changed: Path) -> None:
    status, last = install(packed, changed, way, value)
    assert (status, last["code"]) == (82, "manifest-invalid"), last
    assert str(way[0]) in last["message"]
