"""docs/requirements.md, held to its word: each test that it names exists, and each property is tried often enough."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "requirements.md").read_text(encoding="utf-8")
REQUIREMENTS, PROPERTIES, ERRORS = (
    {
        cells[0]: cells[2]
        for line in section.splitlines()
        if line.startswith("| ") and (cells := line.strip("| ").split(" | ")) and cells[0] not in {"#", "what is wrong"}
    }
    for section in re.split(r"^## .*$", PAGE, flags=re.MULTILINE)[1:]
)
NAMED = re.compile(r"`(tests/[^`]+?)::([^`]+)`")
TAG = re.compile(r"^(?:#|//) Feature: python-backend-bundling, Property (\d+)\b", re.MULTILINE)
LEAST = 100  # examples


def test_every_requirement_property_and_error_has_its_row() -> None:
    assert set(REQUIREMENTS) == {f"{group}.{number}" for group in range(1, 13) for number in range(1, 6)}
    assert set(PROPERTIES) == {str(number) for number in range(1, 11)}
    assert len(ERRORS) == 5


def test_every_row_names_a_test_or_says_why_there_is_none() -> None:
    for row in (*REQUIREMENTS.values(), *PROPERTIES.values(), *ERRORS.values()):
        assert NAMED.search(row) or row.startswith("not shown: "), row


def test_each_python_test_that_is_named_is_one_that_pytest_collects() -> None:
    named = {(path, name) for path, name in NAMED.findall(PAGE) if path.endswith(".py")}
    files = sorted({path for path, _ in named})
    command = [sys.executable, "-m", "pytest", "--collect-only", "--quiet", "-p", "no:cacheprovider", *files]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert listed.returncode == 0, listed.stdout
    collected = {tuple(line.partition("[")[0].split("::")) for line in listed.stdout.splitlines() if "::" in line}
    assert named - collected == set()


def test_each_test_of_the_electron_part_that_is_named_is_there() -> None:
    for path, title in NAMED.findall(PAGE):
        if path.endswith(".mjs"):
            assert re.search(rf"^\s*test\((['\"`]){re.escape(title)}\1", read(path), re.MULTILINE), (path, title)


@pytest.mark.parametrize("number", PROPERTIES)
def test_each_property_is_tagged_and_tried_on_a_hundred_examples_where_the_page_says(number: str) -> None:
    for path, name in NAMED.findall(PROPERTIES[number]):
        text = read(path)
        tags = [tag.end() for tag in TAG.finditer(text) if tag[1] == number]
        assert tags, f"{path} has no tag for property {number}"
        place = text.index(name)
        assert any(tag < place for tag in tags), f"{name} stands above the tag"
        tried = examples_in_python(path, name) if path.endswith(".py") else examples_in_javascript(text, place)
        assert tried >= LEAST


def examples_in_python(path: str, name: str) -> int:
    """Return how many examples hypothesis tries."""
    test = getattr(importlib.import_module(path.removesuffix(".py").replace("/", ".")), name)
    assert test.is_hypothesis_test
    return int(test._hypothesis_internal_use_settings.max_examples)


def examples_in_javascript(text: str, place: int) -> int:
    """Return how many examples fast-check tries, in the first of its assertions that begins at `place` or after."""
    begin = text.index("fc.assert(", place)
    runs = re.search(r"numRuns: ([\d_]+)", text[begin:])
    return int(runs[1].replace("_", "")) if runs else 0


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")
