"""The examples of a dataset file. The server checks and the worker loads with the same code, so they agree.

One example is a row: a line of .txt, an object of .jsonl or .json, a record of .csv. A row's text is its column
`text` or `content`, or a question and its answer under one of the usual pairs of names. A row whose column `messages`
has a list of {role, content} is a conversation, which the model's own chat template turns into text.
"""

from __future__ import annotations

import csv
import encodings.utf_8_sig  # noqa: F401 - else found when the first dataset is read: too late for the core
import json
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from backend.datasets.content import misnamed
from backend.datasets.errors import DatasetMissing, DatasetUnusable
from backend.datasets.jsonarray import ArrayBroken, NotAnArray, NotUtf8, elements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TEXT_COLUMNS = ("text", "content")
MESSAGES_COLUMN = "messages"
ROLES = ("system", "user", "assistant", "tool")
PAIRS = (("instruction", "output"), ("prompt", "completion"), ("prompt", "response"), ("question", "answer"))
CONTEXT_COLUMN = "input"  # some instruction sets give the instruction's subject apart
DELIMITERS = (",", ";", "\t", "|")  # spreadsheets of half of Europe write the second
MAX_PROBLEMS = 10
MAX_LINE_BYTES = 16 * 1024 * 1024
SHOWN_COLUMNS = 8
SHOWN_CHARACTERS = 40

REMEDY_ENCODING = "Save the file as UTF-8 text."
REMEDY_ROWS = "Correct the rows that `detail` names."
REMEDY_COLUMNS = (
    "Give each row a column `text`, or `messages`, or a pair of columns: "
    + ", ".join(f"`{ask}` and `{answer}`" for ask, answer in PAIRS)
    + "."
)
REMEDY_EMPTY = "Add at least one example."
REMEDY_ARRAY = "Make the file an array of objects, or rename it to .jsonl if it has one object a line."
_ARRAY_REMEDIES = {NotUtf8: REMEDY_ENCODING, NotAnArray: REMEDY_ARRAY}


@dataclass(frozen=True)
class Problem:
    """Why one place of the file (such as "line 3") cannot be used."""

    place: str
    reason: str
    remedy: str


@dataclass(frozen=True)
class Message:
    """What one side of a conversation said; `role` is one of ROLES."""

    role: str
    content: str


Example = str | tuple[Message, ...]


@dataclass(frozen=True)
class Row:
    """One example as the file has it: a mapping of columns, or a bare text."""

    place: str
    value: Any


def as_text(example: Example) -> str:
    """Return an example as a person reads it; a conversation without any model's template."""
    if isinstance(example, str):
        return example
    return "\n".join(f"{message.role}: {message.content}" for message in example)


def read_examples(path: Path) -> Iterator[Example]:
    """Yield each example.

    Raises DatasetMissing before the first, and DatasetUnusable, with up to MAX_PROBLEMS problems, at the end.
    """
    rows = _reader(path)(path)
    problems: list[Problem] = []
    empty = True
    for row in rows:
        found = row if isinstance(row, Problem) else _example(row)
        if not isinstance(found, Problem):
            empty = False
            yield found
            continue
        problems.append(found)
        if len(problems) == MAX_PROBLEMS:
            break
    if not problems and empty:
        problems.append(Problem("the whole file", "it holds no example", REMEDY_EMPTY))
    if problems:
        raise DatasetUnusable(
            path,
            [vars(problem) for problem in problems],
            problems[0].remedy,
        )


def text_columns(path: Path) -> list[str]:
    """Return the columns whose texts make the first example; none where it is a bare text. Raises DatasetMissing."""
    value = next((row.value for row in _reader(path)(path) if isinstance(row, Row)), None)
    if not isinstance(value, dict):
        return []
    return [MESSAGES_COLUMN] if isinstance(value.get(MESSAGES_COLUMN), list) else _columns(value)


def _reader(path: Path) -> Callable[[Path], Iterator[Row | Problem]]:
    if not path.is_absolute():
        raise DatasetMissing(path, "this is not a full path")
    if not path.exists():
        raise DatasetMissing(path, "there is no such file")
    if not path.is_file():
        raise DatasetMissing(path, "this is a folder" if path.is_dir() else "this is not a regular file")
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise DatasetMissing(path, f"its name ends neither in {', '.join(_READERS)}")
    if (found := misnamed(path)) is not None:
        problem = Problem("the whole file", *found)
        raise DatasetUnusable(path, [vars(problem)], problem.remedy)
    return reader


def _example(row: Row) -> Example | Problem:
    if isinstance(row.value, dict) and isinstance(row.value.get(MESSAGES_COLUMN), list):
        return _conversation(row.place, row.value[MESSAGES_COLUMN])
    return _text(row)


def _conversation(place: str, messages: list[Any]) -> Example | Problem:
    found = []
    for number, message in enumerate(messages, start=1):
        match message:
            case {"role": str(role), "content": str(content)} if role in ROLES:
                if (broken := _not_unicode(content)) is not None:
                    return Problem(place, f"message {number}: {broken}", REMEDY_ROWS)
                found.append(Message(role, content))
            case _:
                reason = f"message {number} has no text `content` and a `role` of {', '.join(ROLES)}"
                return Problem(place, reason, REMEDY_ROWS)
    if not any(message.role == "assistant" and message.content.strip() for message in found):
        return Problem(place, "no message is an assistant's, so that there is nothing to learn", REMEDY_ROWS)
    return tuple(found)


def _text(row: Row) -> str | Problem:
    value = {TEXT_COLUMNS[0]: row.value} if isinstance(row.value, str) else row.value
    if not isinstance(value, dict):
        kind = type(value).__name__
        return Problem(row.place, f"a row has to be an object of columns, this is of type {kind}", REMEDY_ROWS)
    columns = _columns(value)
    if not columns:
        names = ", ".join(list(map(str, value))[:SHOWN_COLUMNS]) or "none"
        return Problem(row.place, f"no text among its columns ({names})", REMEDY_COLUMNS)
    for column in columns:
        if not isinstance(value[column], str):
            found = json.dumps(value[column])[:SHOWN_CHARACTERS]
            return Problem(row.place, f"column `{column}` is {found}, not a text", REMEDY_ROWS)
    text = "\n".join(value[column] for column in columns if value[column].strip())
    if not text:
        return Problem(row.place, f"column `{columns[-1]}` is empty", REMEDY_ROWS)
    broken = _not_unicode(text)
    return text if broken is None else Problem(row.place, broken, REMEDY_ROWS)


def _not_unicode(text: str) -> str | None:
    try:
        text.encode()
    except UnicodeEncodeError as error:  # JSON can spell half of a character
        return f"character {error.start + 1} of its text is not Unicode"
    return None


def _columns(row: dict[str, Any]) -> list[str]:
    """Return the columns whose texts make the example, in order; none if the row has no known ones."""
    for column in TEXT_COLUMNS:
        if column in row:
            return [column]
    for ask, answer in PAIRS:
        if ask in row and answer in row:
            return [ask, *([CONTEXT_COLUMN] if row.get(CONTEXT_COLUMN) else []), answer]
    return []


def _lines(path: Path) -> Iterator[tuple[int, str | Problem]]:
    """Yield the file's lines from 1 on; a line that is no text ends the reading."""
    with path.open("rb") as file:
        for number, raw in enumerate(iter(lambda: file.readline(MAX_LINE_BYTES), b""), start=1):
            reason = None
            if len(raw) == MAX_LINE_BYTES:
                reason = f"the line is longer than {MAX_LINE_BYTES:,} bytes"
            elif b"\0" in raw:
                reason = "this is binary, not text"
            else:
                try:
                    yield number, raw.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError as error:
                    reason = f"byte {error.start + 1} is not UTF-8"
            if reason is not None:
                yield number, Problem(f"line {number}", reason, REMEDY_ENCODING)
                return


def _rows_of_txt(path: Path) -> Iterator[Row | Problem]:
    for number, line in _lines(path):
        if isinstance(line, Problem):
            yield line
        elif line.strip():
            yield Row(f"line {number}", line.rstrip("\r\n"))


def _rows_of_jsonl(path: Path) -> Iterator[Row | Problem]:
    for number, line in _lines(path):
        place = f"line {number}"
        if isinstance(line, Problem):
            yield line
        elif line.strip():
            try:
                yield Row(place, json.loads(line.rstrip("\r\n")))
            except json.JSONDecodeError as error:
                yield Problem(place, f"not JSON: {error.msg} at column {error.colno}", REMEDY_ROWS)
            except (ValueError, RecursionError) as error:  # a number or a nesting beyond Python's limits
                yield Problem(place, f"not JSON that can be read: {error}", REMEDY_ROWS)


def _rows_of_json(path: Path) -> Iterator[Row | Problem]:
    try:
        for number, row in enumerate(elements(path), start=1):
            yield Row(f"row {number}", row)
    except ArrayBroken as error:
        yield Problem(error.place, error.reason, _ARRAY_REMEDIES.get(type(error), REMEDY_ROWS))


def _rows_of_csv(path: Path) -> Iterator[Row | Problem]:
    unreadable: list[Problem] = []
    csv.field_size_limit(MAX_LINE_BYTES)  # its own limit is shorter than many a text

    def texts() -> Iterator[str]:
        for _, line in _lines(path):
            if isinstance(line, Problem):
                unreadable.append(line)
                return
            yield line

    lines = texts()
    header = next(lines, "")
    records = csv.DictReader(chain([header], lines), delimiter=_delimiter(header), strict=True)
    try:
        for record in records:
            place = f"line {records.line_num}"
            if None in record:
                yield Problem(place, "it has more fields than the first line has names", REMEDY_ROWS)
            elif None in record.values():
                yield Problem(place, "it has fewer fields than the first line has names", REMEDY_ROWS)
            else:
                yield Row(place, record)
    except csv.Error as error:
        reason = str(error).partition(" - ")[0]  # behind it is advice for who wrote the program
        yield Problem(f"line {records.reader.line_num}", f"not CSV: {reason}", REMEDY_ROWS)
    yield from unreadable


def _delimiter(header: str) -> str:
    """Return what stands between the names of a header: what leaves names that we know, else a comma."""
    for candidate in DELIMITERS:
        with suppress(csv.Error):  # whoever reads the rows by the comma says what is wrong with the header
            names = next(csv.reader([header], delimiter=candidate), [])
            if MESSAGES_COLUMN in names or _columns(dict.fromkeys(names, "")):
                return candidate
    return DELIMITERS[0]


_READERS: dict[str, Callable[[Path], Iterator[Row | Problem]]] = {
    ".jsonl": _rows_of_jsonl,
    ".json": _rows_of_json,
    ".csv": _rows_of_csv,
    ".txt": _rows_of_txt,
}
