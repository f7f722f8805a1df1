from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.datasets.errors import DatasetMissing, DatasetUnusable
from backend.datasets.rows import MAX_PROBLEMS, Message, read_examples
from backend.datasets.statistics import extent


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def problems(path: Path) -> list[str]:
    with pytest.raises(DatasetUnusable) as raised:
        extent(path)
    assert raised.value.remedy
    return [f"{problem['place']}: {problem['reason']}" for problem in raised.value.detail]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("a.jsonl", '{"text": "one"}\n\n{"text": "two"}', id="jsonl"),
        pytest.param("a.jsonl", b'\xef\xbb\xbf{"text": "one"}\r\n{"text": "two"}\r\n', id="jsonl from Windows"),
        pytest.param("a.json", '[{"text": "one"}, {"content": "two"}]', id="json"),
        pytest.param("a.json", '["one", "two"]', id="json of texts"),
        pytest.param("a.csv", "id,text\n1,one\n2,two\n", id="csv"),
        pytest.param("a.txt", "one\n\ntwo\n", id="txt"),
        pytest.param("A.TXT", "one\ntwo", id="upper case"),
    ],
)
def test_each_format_gives_its_texts(tmp_path: Path, name: str, content: str | bytes) -> None:
    assert list(read_examples(written(tmp_path, name, content))) == ["one", "two"]


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"instruction": "add", "input": "1 2", "output": "3"}, "add\n1 2\n3"),
        ({"instruction": "add", "input": "", "output": "3"}, "add\n3"),
        ({"prompt": "q", "completion": "a"}, "q\na"),
        ({"prompt": "q", "response": "a"}, "q\na"),
        ({"question": "q", "answer": "a"}, "q\na"),
        ({"text": "all", "prompt": "q", "completion": "a"}, "all"),
    ],
)
def test_questions_and_answers_become_one_text(tmp_path: Path, row: dict[str, str], text: str) -> None:
    assert list(read_examples(written(tmp_path, "a.jsonl", json.dumps(row)))) == [text]


def test_messages_make_a_conversation(tmp_path: Path) -> None:
    messages = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Good day"}]
    path = written(tmp_path, "a.jsonl", json.dumps({"messages": messages, "id": 5}))
    assert list(read_examples(path)) == [(Message("user", "Hello"), Message("assistant", "Good day"))]


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([], "no message is an assistant's"),
        ([{"role": "user", "content": "Hello"}], "no message is an assistant's"),
        ([{"role": "assistant", "content": " "}], "no message is an assistant's"),
        ([{"role": "robot", "content": "Hello"}], "message 1 has no text"),
        ([{"role": "user", "content": "Hello"}, {"role": "assistant"}], "message 2 has no text"),
        (["Hello"], "message 1 has no text"),
        ([{"role": "assistant", "content": "\ud800"}], "message 1: character 1"),
    ],
)
def test_messages_that_teach_nothing_are_problems(tmp_path: Path, messages: list[object], reason: str) -> None:
    (found,) = problems(written(tmp_path, "a.jsonl", json.dumps({"messages": messages})))
    assert found.startswith(f"line 1: {reason}")


def test_a_csv_field_may_span_lines(tmp_path: Path) -> None:
    assert list(read_examples(written(tmp_path, "a.csv", 'text\n"one\ntwo"\n'))) == ["one\ntwo"]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("missing.jsonl", "there is no such file"),
        ("folder", "this is a folder"),
        ("model.bin", "its name ends neither in .jsonl, .json, .csv, .txt"),
    ],
)
def test_what_is_no_dataset_file_is_said_so(tmp_path: Path, path: str, reason: str) -> None:
    (tmp_path / "folder").mkdir()
    written(tmp_path, "model.bin", "x")
    with pytest.raises(DatasetMissing, match=reason):
        extent(tmp_path / path)


def test_a_relative_path_is_refused() -> None:
    with pytest.raises(DatasetMissing, match="not a full path"):
        extent(Path("a.jsonl"))


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.txt"])
@pytest.mark.parametrize("content", ["", "\n\n", "\ufeff"])
def test_an_empty_file_holds_no_example(tmp_path: Path, name: str, content: str) -> None:
    assert problems(written(tmp_path, name, content)) == ["the whole file: it holds no example"]


def test_an_empty_array_holds_no_example(tmp_path: Path) -> None:
    assert problems(written(tmp_path, "a.json", "[]")) == ["the whole file: it holds no example"]


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv", "a.txt"])
def test_binary_junk_is_no_text(tmp_path: Path, name: str) -> None:
    (found,) = problems(written(tmp_path, name, bytes(range(256)) * 64))
    assert "binary" in found or "UTF-8" in found or "not JSON" in found


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.jsonl", '{"text": "one"}\n{"text": \n', "line 2: not JSON: Expecting value at column 10"),
        ("a.jsonl", '{"text": "one"}\n[1]\n', "line 2: a row has to be an object of columns, this is of type list"),
        ("a.jsonl", '{"text": "one"}\n{"text": 5}\n', "line 2: column `text` is 5, not a text"),
        ("a.jsonl", '{"text": "one"}\n{"text": "  "}\n', "line 2: column `text` is empty"),
        ("a.jsonl", '{"label": 1, "id": 2}\n', "line 1: no text among its columns (label, id)"),
        ("a.jsonl", b'{"text": "one"}\n{"text": "\xff"}\n', "line 2: byte 11 is not UTF-8"),
        ("a.json", '[{"text": "one"},\n {"text"}]', "line 2: not JSON: Expecting ':' delimiter at column 9"),
        ("a.jsonl", '{"text": "\\ud800"}', "line 1: character 1 of its text is not Unicode"),
        ("a.json", '["one", ""]', "row 2: column `text` is empty"),
        ("a.json", '{"text": "one"}', "the whole file: it is not an array of rows"),
        ("a.json", '[{"text": "one"}, {}]', "row 2: no text among its columns (none)"),
        ("a.csv", "text,id\none,1\ntwo\n", "line 3: it has fewer fields than the first line has names"),
        ("a.csv", "text\none\ntwo,2\n", "line 3: it has more fields than the first line has names"),
        ("a.csv", 'text\n"one\n', "line 2: not CSV: unexpected end of data"),
        ("a.csv", "te\rxt\none\n", "line 1: not CSV: new-line character seen in unquoted field"),
        ("a.csv", "label,id\n1,2\n", "line 2: no text among its columns (label, id)"),
    ],
)
def test_each_problem_names_its_place(tmp_path: Path, name: str, content: str | bytes, expected: str) -> None:
    assert problems(written(tmp_path, name, content)) == [expected]


ARRAY = '[\n  {"text": "one"},\n  {"text": "two"}\n]\n'
LINES = '{"text": "one"}\n{"text": "two"}\n'


@pytest.mark.parametrize(
    ("name", "content", "reason", "remedy"),
    [
        ("a.csv", b"PAR1\x15\x04", "parquet", ".parquet"),
        ("a.jsonl", b"PAR1\x15\x04", "parquet", ".parquet"),
        ("a.csv", b"PK\x03\x04\x14\0", "as spreadsheets are", "Save it as CSV"),
        ("a.json", b"\x1f\x8b\x08\0", "packed by gzip", "Unpack"),
        ("a.jsonl", ARRAY, "an array", ".json"),
        ("a.jsonl", ARRAY.replace("\n", ""), "an array", ".json"),
        ("a.csv", ARRAY, "an array", ".json"),
        ("a.csv", "\ufeff" + ARRAY, "an array", ".json"),
        ("a.csv", LINES, "a JSON object on its first line", ".jsonl"),
        ("a.json", LINES, "not an array", ".jsonl"),
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_told_what_it_is_and_what_to_do(
    tmp_path: Path, name: str, content: str | bytes, reason: str, remedy: str
) -> None:
    with pytest.raises(DatasetUnusable) as unusable:
        extent(written(tmp_path, name, content))
    assert f"{name}, the whole file: it is" in unusable.value.message or "it has" in unusable.value.message
    assert reason in unusable.value.message
    assert remedy in unusable.value.remedy


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", '[{"text": "to be learnt as it stands"}]\n'),
        ("a.txt", '{"text": "to be learnt as it stands"}\n'),
        ("a.csv", "{id},text\n1,one\n"),
        ("a.csv", "[id],text\n1,one\n"),
        ("a.jsonl", '"[{"\n'),
    ],
)
def test_what_only_looks_like_another_format_is_read_as_its_name_says(tmp_path: Path, name: str, content: str) -> None:
    assert extent(written(tmp_path, name, content)).examples == 1


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
@pytest.mark.parametrize("content", ["[" * 100_000, "[" + "1" * 5000 + "]"], ids=["deep", "long number"])
def test_json_beyond_the_readers_limits_is_a_problem_and_no_crash(tmp_path: Path, name: str, content: str) -> None:
    (found,) = problems(written(tmp_path, name, content))
    assert "not JSON" in found


@given(st.sampled_from(["a.jsonl", "a.json", "a.csv", "a.txt"]), st.binary(max_size=200) | st.text().map(str.encode))
def test_any_file_is_either_read_or_explained(
    tmp_path_factory: pytest.TempPathFactory, name: str, content: bytes
) -> None:
    path = written(tmp_path_factory.mktemp("any"), name, content)
    try:
        found, examples = [], extent(path).examples
    except DatasetUnusable as error:
        found, examples = error.detail, 0
    assert bool(found) != bool(examples)
    assert len(found) <= MAX_PROBLEMS
    assert all(problem["place"] and problem["reason"] for problem in found)


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")).filter(str.strip)


@given(st.lists(TEXTS, min_size=1))
def test_every_text_comes_back_as_it_was_written(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    folder = tmp_path_factory.mktemp("texts")
    rows = [{"text": text} for text in texts]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    assert list(read_examples(written(folder, "a.jsonl", lines))) == texts
    assert list(read_examples(written(folder, "a.json", json.dumps(rows, ensure_ascii=False)))) == texts


def test_the_first_problems_are_told_together(tmp_path: Path) -> None:
    found = problems(written(tmp_path, "a.jsonl", '{"text": "good"}\n' + "bad\n" * 50))
    assert len(found) == MAX_PROBLEMS
    assert found[-1].startswith(f"line {MAX_PROBLEMS + 1}: ")
