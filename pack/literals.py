"""Python sources that survive relocation into any folder, `O'Brien's` too.

conda-unpack puts the user's path where the placeholder stood, as plain bytes. Inside an ordinary Python literal a
quote or a backslash of that path would end or change the literal, and with `_sysconfigdata` nothing starts any more
(tried: SyntaxError). A raw literal in three quotes takes every path but two kinds: one that holds three double
quotes in a row, and one that ends in a quote or a backslash, which no slot does (its name is hexadecimal).
"""

from __future__ import annotations

import ast
import io
import tokenize

_PREFIXES = frozenset({"", "r", "u"})  # literals of other kinds mean something else when written raw


def quote_safely(source: bytes, placeholder: str) -> bytes:
    """Return a Python source in which each plain string literal that holds `placeholder` is a raw, triple-quoted one.

    Literals that cannot be written so (they hold control characters, or three quotes) stay as they are, and so does
    a source that is no Python of this version.
    """
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
        tokens = list(tokenize.tokenize(io.BytesIO(source).readline))
    except (SyntaxError, tokenize.TokenError):
        return source
    # Python's lines end at line feeds alone: a form feed, which splitlines() cuts at, is a blank to it.
    lines = source.decode(encoding).split("\n")
    # From the end, so that the places of what comes before stay right.
    for token in reversed(tokens):
        if token.type != tokenize.STRING or placeholder not in token.string or token.start[0] != token.end[0]:
            continue
        row, begin, end = token.start[0] - 1, token.start[1], token.end[1]
        lines[row] = lines[row][:begin] + _raw(token.string) + lines[row][end:]
    return "\n".join(lines).encode(encoding)


def _raw(literal: str) -> str:
    if literal[: len(literal) - len(literal.lstrip("rRuUbBfF"))].lower() not in _PREFIXES:
        return literal
    value = ast.literal_eval(literal)
    written = f'r"""{value}"""'
    try:
        return written if ast.literal_eval(written) == value and "\n" not in written else literal
    except (SyntaxError, ValueError):  # it ends in a quote or a backslash, or holds a null byte
        return literal
