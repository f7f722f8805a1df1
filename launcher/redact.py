"""Take out of a text what is nobody else's business: secrets, names of people and machines, the way to their folders.

Pure: what is known to be private is passed in; what looks like a secret by itself is found by its shape.
"""

from __future__ import annotations

import json
import re
from binascii import b2a_base64

# What these name is everybody's.
_COMMON_NAMES = {"root", "user", "admin", "administrator", "runner", "localhost", "home", "peft-studio"}
_BREAK = r"(?:\r?\n)?"  # whoever wraps lines does so in the middle of a secret, too
_ENCODINGS = ("utf-8", "latin-1", "cp1252", "cp850", "cp437", "cp1251")
_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_HF_LENGTH = 34  # letters and digits of a token of huggingface.co
# Where a word begins: behind what is no letter or digit, or behind an escape, which may end in one.
_START = r"(?:(?<![A-Za-z0-9])|(?<=%[0-9A-Fa-f]{2})|(?<=\\[nrt])|(?<=\\x[0-9a-f]{2})|(?<=\\u[0-9a-f]{4}))"
_SHAPES = [
    (re.compile(rf"hf_(?:{_BREAK}[A-Za-z0-9]){{{_HF_LENGTH}}}[A-Za-z0-9]*|hf_[A-Za-z0-9]+"), "<token>"),
    (re.compile(_START + r"(?:sk|ghp|gho|ghs|github_pat|glpat|xox[abp])[-_][A-Za-z0-9_-]{8,}"), "<token>"),
    (re.compile(_START + r"(Bearer|Basic)(\s+|%20|\+)[A-Za-z0-9._~+/=%-]+", re.IGNORECASE), r"\1 <token>"),
    # A name that says secret, and a value: token=…, "password": "…", PEFT_STUDIO_TOKEN=…
    (
        re.compile(
            r"""((?:token|password|passwd|secret|api[_-]?key|access[_-]?key)["']?\s*(?:=|:|%3[Dd])\s*)"""
            r"""(?:"(?:[^"\\\n]|\\.)+"|'(?:[^'\\\n]|\\.)+'|(?!<|None\b|null\b)[^\s"'&,;)}\]]+)""",
            re.IGNORECASE,
        ),
        r"\1<secret>",
    ),
    (re.compile(r"(://)[^\s/@\"'<>]+@"), r"\1<credentials>@"),
    (re.compile(r"[\w.+-]+(?:@|%40)[\w-]+(?:\.[\w-]+)+"), "<e-mail>"),
    # Homes of people that we know nothing of.
    (
        re.compile(_START + r"((?:[A-Za-z]:)?[\\/]+(?:home|Users)[\\/]+)(?!<)[^\\/\s\"':;,]+", re.IGNORECASE),
        r"\1<user>",
    ),
]


class Redactor:
    """What is private here: `secrets` wherever they are, `folders` and their names, `names` where they are words."""

    def __init__(self, secrets: dict[str, str], folders: dict[str, str], names: dict[str, str]) -> None:
        sure = secrets | {value: said for value, said in folders.items() if len(value) > 1}
        known = [(spelling, said) for value, said in sure.items() if value for spelling in _spellings(value)]
        # The longest first: a folder before the folder that it lies in.
        known.sort(key=lambda pair: -len(pair[0]))
        self._rules = [(re.compile(_wrapped(spelling), re.IGNORECASE), said) for spelling, said in known]
        for value, said in names.items():
            if len(value) > 1 and value.casefold() not in _COMMON_NAMES:
                self._rules += [
                    (re.compile(rf"{_START}{_wrapped(spelling)}(?![A-Za-z0-9])", re.IGNORECASE), said)
                    for spelling in _spellings(value)
                ]

    def text(self, text: str) -> str:
        """Return the text without what is private."""
        for rule, said in self._rules:
            # As a function: what is said in its place is no pattern.
            text = rule.sub(lambda _, said=said: said, text)  # type: ignore[misc]
        for shape, said in _SHAPES:
            text = shape.sub(said, text)
        return text

    def bytes(self, content: bytes) -> str:
        """Return the text that a file holds, in whatever encoding, without what is private."""
        return self.text(_decoded(content))

    def value(self, value: object) -> object:
        """Return a JSON value without what is private in its texts, names of members included."""
        if isinstance(value, dict):
            return {self.text(str(key)): self.value(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        return self.text(value) if isinstance(value, str) else value


def _decoded(content: bytes) -> str:
    """Return the text; what is no UTF-8 stays as its bytes' numbers."""
    if content[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return content.decode("utf-16", "backslashreplace")
    nulls, odd = content[:4096].count(0), content[1:4096:2].count(0)
    if nulls > len(content[:4096]) // 4:
        # PowerShell's files come without a mark: every second byte of plain text is zero, and it says which order.
        return content.decode("utf-16-le" if odd * 2 > nulls else "utf-16-be", "backslashreplace")
    return content.decode("utf-8", "backslashreplace")


def _spellings(value: str) -> set[str]:
    """Return how programs write a value: as it is, in JSON, in a URL, in an old console's encoding, in base64."""
    forms = _forms(value)
    forms |= {form.replace("\\", "/") for form in forms}
    found = set(forms)
    for form in forms:
        found |= {json.dumps(form)[1:-1], json.dumps(form, ensure_ascii=False)[1:-1], repr(form)[1:-1]}
        for kept in ("/", ""):
            found |= {_percent(form, kept), _percent(form, kept).replace("%20", "+")}
        for encoding in _ENCODINGS:
            try:
                raw = form.encode(encoding)
            except UnicodeEncodeError:
                continue
            found.add(raw.decode("utf-8", "backslashreplace"))
            if len(raw) > 5:
                packed = b2a_base64(raw, newline=False).decode().rstrip("=")
                found |= {packed, packed.replace("+", "-").replace("/", "_")}
    return found


def _forms(value: str) -> set[str]:
    """Return a value with its accents as one character and as two, where this system makes a difference."""
    try:
        from unicodedata import normalize
    except ImportError:
        return {value}  # a frozen launcher has it only where file systems change the form of names
    return {value, normalize("NFC", value), normalize("NFD", value)}


def _percent(text: str, kept: str) -> str:
    """Return the text as a URL has it."""
    raw = text.encode("utf-8", "surrogateescape")
    return "".join(chr(byte) if chr(byte) in _PLAIN or chr(byte) in kept else f"%{byte:02X}" for byte in raw)


def _wrapped(text: str) -> str:
    """Return the pattern of a text that lines may break anywhere in."""
    return _BREAK.join(re.escape(character) for character in text)
