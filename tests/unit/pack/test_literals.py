"""Python literals that hold a placeholder, written so that any folder fits into them."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from pack.literals import quote_safely

HOLDER = "/placehold/env"


def safely(source: str) -> str:
    return quote_safely(source.encode(), HOLDER).decode()


def value_in(source: bytes, folder: str) -> Any:
    scope: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(source.replace(HOLDER.encode(), folder.encode()), scope)
    return scope["x"]


@pytest.mark.parametrize(
    ("literal", "written"),
    [
        (f"'{HOLDER}/lib'", f'r"""{HOLDER}/lib"""'),
        (f'"{HOLDER}"', f'r"""{HOLDER}"""'),
        (f"u'{HOLDER}'", f'r"""{HOLDER}"""'),
        (f"R'{HOLDER}'", f'r"""{HOLDER}"""'),
        (f"'{HOLDER}\\t\\'quoted\\''", f'r"""{HOLDER}\t\'quoted\'"""'),
    ],
)
def test_a_plain_literal_becomes_raw_and_triple_quoted(literal: str, written: str) -> None:
    assert safely(f"x = {literal}\n") == f"x = {written}\n"


@pytest.mark.parametrize(
    "literal",
    [
        f"b'{HOLDER}'",  # bytes are no text
        f"'{HOLDER}\\n'",  # a line feed would be a line of its own
        f"'{HOLDER}\\0'",  # no source may hold a null byte
        f"'{HOLDER}\"'",  # ends in the quote that would end the literal
        f"'{HOLDER}\\\\'",  # ends in a backslash
        f'\'{HOLDER}"""x\'',  # holds three quotes
        "'/elsewhere'",
    ],
)
def test_what_cannot_be_written_so_stays_as_it_is(literal: str) -> None:
    assert safely(f"x = {literal}\n") == f"x = {literal}\n"


def test_several_literals_of_a_line_are_all_found() -> None:
    assert value_in(quote_safely(f"x = ['{HOLDER}/a', '{HOLDER}/b']\n".encode(), HOLDER), "/it's") == [
        "/it's/a",
        "/it's/b",
    ]


@pytest.mark.parametrize("separator", ["\x0c", "\x1c", "\x85", "\u2028"])
def test_characters_that_only_look_like_line_ends_move_nothing(separator: str) -> None:
    source = f"# a{separator}b\nx = '{HOLDER}'\n"
    assert safely(source) == f'# a{separator}b\nx = r"""{HOLDER}"""\n'


def test_line_ends_of_windows_stay() -> None:
    assert safely(f"y = 1\r\nx = '{HOLDER}'\r\n") == f'y = 1\r\nx = r"""{HOLDER}"""\r\n'


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8-sig"])
def test_a_source_keeps_its_encoding(encoding: str) -> None:
    source = f"# -*- coding: {encoding.removesuffix('-sig')} -*-\nx = '{HOLDER}/é'\n".encode(encoding)
    assert value_in(quote_safely(source, HOLDER), "/a") == "/a/é"


@pytest.mark.parametrize(
    "source",
    [
        f"if 1:\n    y = 1\n  x = '{HOLDER}'\n",
        f"x = ('{HOLDER}'\n",
        f"# -*- coding: no-such -*-\nx = '{HOLDER}'\n",
    ],
)
def test_what_is_no_python_of_this_version_stays_as_it_is(source: str) -> None:
    assert safely(source) == source


@pytest.mark.parametrize("folder", ['/three """ quotes', '/ends in "', "/ends in \\"])
def test_the_few_folders_that_do_not_fit_are_syntax_errors_and_never_another_value(folder: str) -> None:
    with pytest.raises(SyntaxError):
        value_in(quote_safely(f"x = '{HOLDER}'\n".encode(), HOLDER), folder)
