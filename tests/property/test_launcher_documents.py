"""Any change to a manifest, an index, a receipt or an attempt is understood, or refused with its place."""

from __future__ import annotations

import copy
import posixpath
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from launcher.attempt import Attempt
from launcher.document import DocumentError
from launcher.manifest import Floor, Frame, Index, Manifest, NewerSchemaError, Part
from launcher.paths import check_paths
from launcher.platforms import Platform
from launcher.receipt import Extent, Receipt
from launcher.variables import Variable
from tests.builders.documents import places, replaced

if TYPE_CHECKING:
    from collections.abc import Callable

DIGEST = "0123456789abcdef" * 4
MANIFEST = Manifest(
    runtime=DIGEST,
    version="1.0",
    platform=Platform.LINUX_64,
    accelerator="cpu",
    created_at="2026-01-01T00:00:00Z",
    channel="conda-forge",
    lock=DIGEST,
    packages={"python": "3.11.0"},
    environment={"SSL_CERT_FILE": Variable("{prefix}/ssl/cacert.pem", unless_set=True)},
    floor=Floor(glibc="2.28"),
    placeholder=255,
    longest_path=20,
    disk=1000,
    entries=3,
    core=1,
    parts=(Part(name="runtime.tar.zst", size=10, sha256=DIGEST),),
    index=Part(name="index.json.zst", size=10, sha256=DIGEST),
).to_dict()
INDEX = Index.from_dict(
    {
        "frames": [[0, 5, 100, DIGEST], [5, 5, 50, DIGEST]],
        "entries": [
            ["bin", "folder", 0o755, 0, "", "", False, 0, 0],
            ["bin/python", "link", 0o644, 0, "", "python3.11", False, 0, 0],
            ["bin/python3.11", "file", 0o755, 120, DIGEST, "", True, 0, 0],
        ],
    },
    Platform.LINUX_64,
).to_dict()
RECEIPT = Receipt(
    runtime=DIGEST, slot="/home/x/rt/01234567", part=Extent.WHOLE, relocated={"bin/python3.11": DIGEST}
).to_dict()
ATTEMPT = {"runtime": DIGEST, "count": 1, "pid": 2}
READERS: dict[str, tuple[dict[str, Any], Callable[[object], object]]] = {
    "manifest": (MANIFEST, Manifest.from_dict),
    "index": (INDEX, lambda document: Index.from_dict(document, Platform.LINUX_64)),
    "receipt": (RECEIPT, Receipt.from_dict),
    "attempt": (ATTEMPT, Attempt.from_dict),
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([DIGEST, "", "..", "/x"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


def without(document: object, path: tuple[str | int, ...]) -> object:
    whole: Any = copy.deepcopy(document)
    inner = whole
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return whole


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=300, deadline=None)
@given(choice=st.data())
def test_any_value_changed_is_understood_or_refused_with_its_place(name: str, choice: st.DataObject) -> None:
    document, read = READERS[name]
    path = choice.draw(st.sampled_from(places(document)))
    changed = replaced(document, path, choice.draw(JSON))
    try:
        read(changed)
    except DocumentError as error:
        place, _, reason = str(error).partition(": ")
        assert reason
        assert place == "the document" or place.split("[")[0].split(".")[0] in document
        if path and name != "index":  # an index's frames and entries are checked against each other
            assert place.startswith(str(path[0]))
    except NewerSchemaError as error:
        assert path == ("schema",) or path == ()
        assert error.found > 1  # noqa: PT017


@pytest.mark.parametrize("name", READERS)
def test_any_value_left_out_is_refused_or_was_one_of_several(name: str) -> None:
    document, read = READERS[name]
    for path in places(document)[1:]:
        try:
            read(without(document, path))
        except DocumentError as error:
            assert str(error).startswith((str(path[0]), "entries" if name == "index" else "\0"))  # noqa: PT017
        else:
            assert isinstance(path[-1], int) or path[0] in {"packages", "environment", "relocated"}, path


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=200, deadline=None)
@given(document=JSON)
def test_any_other_document_is_refused(name: str, document: object) -> None:
    with pytest.raises((DocumentError, NewerSchemaError)):
        READERS[name][1](document)


def test_what_is_written_is_what_was_read() -> None:
    assert Manifest.from_dict(MANIFEST).to_dict() == MANIFEST
    assert Index.from_dict(INDEX, Platform.LINUX_64).to_dict() == INDEX
    assert Receipt.from_dict(RECEIPT).to_dict() == RECEIPT
    assert Index.from_dict(INDEX, Platform.LINUX_64).frames[1] == Frame(5, 5, 50, DIGEST)


NAMES = st.text(st.sampled_from("abAB.é/\\: \0\u0301Cn"), max_size=12)


@settings(max_examples=500)
@given(
    paths=st.lists(st.tuples(NAMES, st.booleans(), st.just("") | NAMES), max_size=5),
    platform=st.sampled_from(list(Platform)),
)
def test_paths_that_pass_lie_inside_the_slot_and_apart_from_each_other(
    paths: list[tuple[str, bool, str]], platform: Platform
) -> None:
    if check_paths(paths, platform) is not None:
        return
    slot = "/the/slot"
    for path, _, target in paths:
        assert posixpath.normpath(posixpath.join(slot, path)).startswith(slot + "/")
        assert platform.path_type("C:/slot", path).is_relative_to("C:/slot")
        if target:
            aim = posixpath.normpath(posixpath.join(slot, posixpath.dirname(path), target))
            assert aim == slot or aim.startswith(slot + "/")
    assert len({path for path, *_ in paths}) == len(paths)
    files = {path for path, is_folder, _ in paths if not is_folder}
    assert not any(other.startswith(f"{path}/") for path in files for other, *_ in paths)
