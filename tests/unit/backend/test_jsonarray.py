"""An array is read piece by piece, and says what it says, wherever it is cut."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.datasets import jsonarray
from backend.datasets.jsonarray import ArrayBroken, NotAnArray, NotUtf8, elements

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


@pytest.fixture(autouse=True, scope="module")
def small_pieces() -> object:
    """Cut the file every few bytes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jsonarray, "PIECE_BYTES", 3)
        yield


def read(content: bytes) -> list[object]:
    with TemporaryDirectory() as folder:
        path = Path(folder, "rows.json")
        path.write_bytes(content)
        return list(elements(path))


@settings(deadline=None)
@given(st.lists(VALUES, max_size=6), st.sampled_from([None, 1]), st.booleans(), st.booleans())
def test_what_json_reads_whole_is_read_in_pieces(
    rows: list[object], indent: int | None, ascii_: bool, mark: bool
) -> None:
    content = json.dumps(rows, indent=indent, ensure_ascii=ascii_).encode("utf-8", "surrogatepass")
    assert read((b"\xef\xbb\xbf" if mark else b"") + content + b" \n") == rows


@pytest.mark.parametrize(
    "content",
    [b"", b"  ", b"[", b"[1", b"[1,", b"[1,]", b"[,1]", b"[1 2]", b"[1] 2", b"[1]]", b'[{"a": }]', b'["a', b"x", b"]",
     b'[\n  {"a": 1},\n  {"b" 2}\n]', b"[1,\n\n 2,\n 3 4]"],
)  # fmt: skip
def test_what_is_no_array_is_said_where_json_says_it(content: bytes) -> None:
    with pytest.raises(json.JSONDecodeError) as expected:
        json.loads(content)
    with pytest.raises(ArrayBroken) as broken:
        read(content)
    assert broken.value.place == f"line {expected.value.lineno}"
    if expected.value.msg != "Illegal trailing comma before end of array":  # newer Pythons' words
        assert broken.value.reason.endswith(f"at column {expected.value.colno}")


@pytest.mark.parametrize("content", [b"{}", b'{"a": [1]}', b'"a"', b"5", b" null", b"-1"])
def test_what_is_no_array_but_json_is_told_apart(content: bytes) -> None:
    with pytest.raises(NotAnArray, match="not an array of rows"):
        read(content)


def test_a_byte_that_is_no_text_is_counted_from_the_start() -> None:
    with pytest.raises(NotUtf8, match="byte 11 is not UTF-8"):
        read(b'["one two \xc3", 3]')


@pytest.mark.parametrize("content", [b"[" * 100_000, b"[" + b"9" * 5000 + b"]"])
def test_what_python_cannot_hold_is_said(content: bytes) -> None:
    with pytest.raises(ArrayBroken, match="not JSON that can be read"):
        read(content)


def test_one_element_may_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonarray, "MOST_CHARACTERS", 100)
    assert read(b'["' + b"x" * 80 + b'"]') == ["x" * 80]
    with pytest.raises(ArrayBroken, match="longer than 100 characters"):
        read(b'["' + b"x" * 1000 + b'"]')
