"""docs/errors.md and docs/events.md, written from the code that they describe: `python -m pack.reference`."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from launcher import events

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
_SOURCES = {
    "The launcher: exit status 80–99": "launcher/errors.py",
    "The backend before it listens: exit status 60–69": "backend/errors.py",
    "The build: exit status 40–59, and 74": "pack/errors.py",
}
_ERRORS = """\
# Errors

Written from the code by `python -m pack.reference`; do not edit.

Each error has a code that programs can rely on, a message that says what is so, with names and numbers, and a remedy.
With `--json` it is a `failed` event ([events.md](events.md)). Two more exit statuses: 70 is a bug, with its traceback
on stderr; 130 means interrupted: what was finished is kept, and the next start goes on from there.
"""
_EVENTS = """\
# Events

Written from the code by `python -m pack.reference`; do not edit.

With `--json` stdout holds one JSON object a line, each with `"v": 1` and `"event"`; everything else goes to stderr.
Members may be added to an event without a new version: readers leave alone what they do not know. The backend that the
launcher becomes goes on in the same stream, with `listening {host, port, pid, version}` or `failed`.

`python -m pack --json` speaks the same way: `done {act, seconds, path}` for each act, then perhaps `failed`.
"""
# A test asks the real program for each answer and compares the names.
ANSWERS = {
    "install": {
        "slot": "the folder of the runtime",
        "runtime": "the runtime's id",
    },
    "verify": {
        "found": "missing, partial, moved, damaged or ready",
        "slot": "the folder of the runtime",
        "damaged": "how many entries are not as the manifest says",
        "byKind": "the same by kind: missing, wrong-kind, wrong-size, changed, wrong-mode, wrong-target, unreadable",
        "first": "the paths of the first ten of them",
        "extra": "the paths of files that are no entries; they are left alone",
    },
    "repair": {
        "found": "missing, partial, moved, damaged or ready, before the repair",
        "slot": "the folder of the runtime",
        "damaged": "how many entries were not as the manifest says",
        "byKind": "the same by kind, as verify has them",
        "first": "the paths of the first ten of them",
        "did": "nothing, restored or installed",
        "restored": "how many entries were written",
        "seconds": "how long it took",
        "log": "the launcher's log",
    },
    "status": {
        "version": "the launcher's version",
        "home": "the folder that the launcher owns",
        "location": "the note that led there, where the home was moved",
        "state": "missing, partial, moved, damaged or ready, as far as a start looks; unknown without a manifest",
        "slot": "the folder of the runtime",
        "bytes": "what it takes there",
        "free": "the bytes free on that disk",
        "running": "the process of a backend that runs from there",
        "runtime": "the runtime's id",
        "platform": "the platform it is for",
        "accelerator": "cuda, mps or cpu",
        "channel": "where its packages come from",
        "packages": "the versions of the packages that the backend cannot do without",
        "createdAt": "when the archive was made",
        "resources": "the folder of manifest and archive",
        "manifest": "the sha256 of the manifest that this launcher was made for",
        "otherSlots": "names of other runtimes in this home",
        "warnings": "what a person should know of driver and home",
        "problem": "where the state is unknown: what is wrong with home or manifest {code, message, remedy}",
    },
    "remove": {
        "removed": "the folders that are gone",
    },
    "support-report": {
        "file": "the zip",
        "bytes": "its size",
        "contents": "the names of the files in it",
        "unread": "what could not be read, by name, and why",
    },
    "move-home": {
        "from": "the folder where the home was",
        "home": "the folder where it is now, as every start finds it",
        "copied": "whether it is on another disk: the user's work was copied and compared, the next start installs",
        "left": "what of the old folder could not be removed; all of it is in the new one",
    },
}


def pages() -> dict[Path, str]:
    """Return the text of each page by its place in the repository."""
    return {Path("docs/errors.md"): _errors_page(), Path("docs/events.md"): _events_page()}


def _errors_page() -> str:
    lines = [_ERRORS]
    for title, source in _SOURCES.items():
        lines += [f"## {title}\n", "| code | status | what is so | remedy |", "|---|---|---|---|"]
        lines += sorted(_error_rows(ROOT / source), key=lambda row: row.split("|")[2])
        lines.append("")
    return "\n".join(lines)


def _error_rows(source: Path) -> Iterator[str]:
    for node in ast.parse(source.read_bytes()).body:
        if isinstance(node, ast.ClassDef):
            facts = dict(_constants(node))
            if "code" in facts and "exit_status" in facts:
                summary = (ast.get_docstring(node) or "").replace("\n", " ").replace("|", "\\|")
                yield f"| {facts['code']} | {facts['exit_status']} | {summary} | {_remedy(node)} |"


def _constants(node: ast.ClassDef) -> Iterator[tuple[str, object]]:
    """Yield the names and values that a class assigns: `code = …`, or `code, exit_status = …`."""
    for statement in node.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant | ast.Tuple):
            (target,) = statement.targets
            names = target.elts if isinstance(target, ast.Tuple) else [target]
            values = ast.literal_eval(statement.value)
            for name, value in zip(names, values if isinstance(target, ast.Tuple) else [values], strict=True):
                yield ast.unparse(name), value


def _remedy(node: ast.ClassDef) -> str:
    """Return the second argument of `super().__init__`, with an ellipsis for each fact that is filled in."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "__init__":
            return _text(call.args[1]) if len(call.args) > 1 else ""
    return ""


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.BoolOp):
        return _text(node.values[-1])
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) for part in node.values)
    return str(node.value) if isinstance(node, ast.Constant) else "…"


def _events_page() -> str:
    lines = [_EVENTS]
    for event in get_args(events.Event):
        lines += [f"## `{event.event}`\n", event.__doc__ or "", "", "| member | type |", "|---|---|"]
        fields = [name for name in event.fields if name != "answer"]
        lines += [f"| {name} | {_type(event.__annotations__[name])} |" for name in fields]
        lines.append("")
        if event is events.Result:
            lines += _answers()
    return "\n".join(lines)


def _type(annotation: str) -> str:
    """Return a type's name as the page shows it, with the values that a Literal lists."""
    alias = getattr(events, annotation, None)
    values = get_args(alias) if alias is not None else ()
    return " · ".join(f"`{value}`" for value in values) if values else f"`{annotation}`".replace("|", "\\|")


def _answers() -> Iterator[str]:
    for act, members in ANSWERS.items():
        yield f"### The answer of `--{act}`\n"
        yield "| member | meaning |\n|---|---|"
        yield from (f"| {name} | {meaning} |" for name, meaning in members.items())
        yield ""


if __name__ == "__main__":
    for place, text in pages().items():
        (ROOT / place).write_text(text, encoding="utf-8", newline="\n")
