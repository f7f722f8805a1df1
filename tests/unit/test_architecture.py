"""The rules of dependency, read from the imports: who may know whom, and who may touch the machine."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
HEAVY = {"torch", "transformers", "peft", "datasets", "accelerate", "bitsandbytes", "deepspeed"}
NETWORK = {"socket", "ssl", "http", "urllib", "ftplib", "asyncio", "socketserver", "xmlrpc"}
# The launcher's modules, layer upon layer: each may import at run time from its own layer and those above it here.
LAYERS = [
    ("data", {"document", "errors", "events", "manifest", "paths", "platforms", "receipt", "room",
              "value", "variables"}),
    ("pure", {"environ", "plan", "redact"}),
    ("effects", {"acts", "attempt", "carry", "disk", "home", "host", "journal", "locks", "move", "preflight",
                 "progress", "record", "relocate", "report", "resources", "restore", "run", "start", "support",
                 "surroundings", "survey", "trust", "whole"}),
    ("edge", {"cli", "__main__"}),
]  # fmt: skip
# What the reader of archives lends to their writer.
LENT = {"document", "environ", "errors", "events", "manifest", "paths", "platforms", "resources", "room", "variables"}


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imports(path: Path, *, for_types: bool = True) -> set[str]:
    """Return the dotted names that a module imports, anywhere in it; without `for_types` those of running it alone."""
    return set(_imports(ast.parse(path.read_bytes()), for_types=for_types))


def _imports(node: ast.AST, *, for_types: bool) -> Iterator[str]:
    if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
        children: list[ast.stmt] | Iterator[ast.AST] = [*(node.body if for_types else []), *node.orelse]
    else:
        children = ast.iter_child_nodes(node)
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert not node.level, "imports name their whole way"
        assert node.module is not None
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    for child in children:
        yield from _imports(child, for_types=for_types)


def tops(names: set[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


def uses(path: Path, owner: str, name: str) -> bool:
    """Whether a module says `owner.name`, or calls `name` where `owner` is empty."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if owner and isinstance(node, ast.Attribute) and node.attr == name and isinstance(node.value, ast.Name):
            if node.value.id == owner:
                return True
        elif not owner and isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
            return True
    return False


def inner(path: Path) -> set[str]:
    """Return the launcher's own modules that a module of it imports when it runs, by their first name."""
    names = imports(path, for_types=False)
    return {name.split(".")[1] for name in names if name.startswith("launcher.")}


@pytest.mark.parametrize("path", modules("launcher"), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_launcher_imports_the_standard_library_platformdirs_and_zstandard(path: Path) -> None:
    assert tops(imports(path)) <= sys.stdlib_module_names | {"launcher", "platformdirs", "zstandard"}


@pytest.mark.parametrize("path", modules("launcher"), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_launcher_never_opens_a_socket(path: Path) -> None:
    assert not tops(imports(path)) & NETWORK


def test_every_module_of_the_launcher_is_in_a_layer() -> None:
    found = {path.parent.name if path.parent.name == "host" else path.stem for path in modules("launcher")}
    assert found - {"__init__"} == set().union(*(names for _, names in LAYERS))


@pytest.mark.parametrize("number", range(len(LAYERS)), ids=[name for name, _ in LAYERS])
def test_layers_of_the_launcher_import_what_lies_above_them_and_nothing_below(number: int) -> None:
    allowed = set().union(*(names for _, names in LAYERS[: number + 1]))
    for path in modules("launcher"):
        if path.stem in LAYERS[number][1]:
            assert inner(path) <= allowed, path


def test_the_launchers_modules_import_each_other_in_no_circle() -> None:
    edges = {path.stem: inner(path) for path in modules("launcher") if path.parent.name == "launcher"}
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " → ".join((*way, name))
        if name not in done:
            for following in edges.get(name, set()):
                visit(following, (*way, name))
            done.add(name)

    for name in edges:
        visit(name, ())


@pytest.mark.parametrize("path", modules("pack"), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_packer_reads_the_launchers_formats_and_no_more_of_it(path: Path) -> None:
    lent = {name.split(".")[1] for name in imports(path) if name.startswith("launcher.")}
    assert lent <= LENT
    assert "backend" not in tops(imports(path))


@pytest.mark.parametrize("path", modules("backend"), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_backend_knows_neither_launcher_nor_packer(path: Path) -> None:
    assert not tops(imports(path)) & {"launcher", "pack", "tests"}


@pytest.mark.parametrize(
    "name", ["archive", "licenses", "lock", "pipeline", "reference", "release", "sbom", "stage", "verify"]
)
def test_what_the_packer_hands_on_has_the_same_line_ends_on_every_system(name: str) -> None:
    calls = [
        node for node in ast.walk(ast.parse((ROOT / "pack" / f"{name}.py").read_bytes())) if isinstance(node, ast.Call)
    ]
    texts = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "write_text"]
    handed_on = [ast.unparse(call) for call in texts if call.keywords]  # a key of one word has no line ends
    assert handed_on
    assert all(text.endswith("newline='\\n')") for text in handed_on), handed_on


def reached(start: Path) -> set[Path]:
    """Return the modules of the backend that running one of them can import, in functions too."""
    found, waiting = {start}, [start]
    while waiting:
        for name in imports(waiting.pop(), for_types=False):
            place = ROOT.joinpath(*name.split("."))
            for path in (place.with_suffix(".py"), place / "__init__.py"):
                if name.startswith("backend.") and path.is_file() and path not in found:
                    found.add(path)
                    waiting.append(path)
    return found


def test_only_workers_import_what_takes_seconds_to_import() -> None:
    server = reached(ROOT / "backend/__main__.py")
    assert not {path.relative_to(ROOT).as_posix() for path in server if tops(imports(path, for_types=False)) & HEAVY}
    assert {path.name for path in server} & {"app.py", "worker.py"} == {"app.py"}, "workers are processes of their own"
    assert tops(set().union(*map(imports, reached(ROOT / "backend/training/worker.py")))) & HEAVY


def test_only_the_machines_own_corner_asks_which_system_this_is() -> None:
    asking = {path for path in modules("launcher") if uses(path, "sys", "platform")}
    assert {path.parent.name if path.parent.name == "host" else path.stem for path in asking} <= {"host", "platforms"}


@pytest.mark.parametrize(
    ("owner", "name", "edges"),
    [
        ("os", "environ", {"__main__"}),
        ("os", "getenv", set()),
        ("", "print", {"__main__", "report"}),
        ("sys", "exit", {"__main__", "windows"}),  # Windows has no exec: the launcher ends with its backend's status
        # The process between two forks has no goodbyes to say; whose starter is gone has nobody to say them to.
        ("os", "_exit", {"posix", "windows"}),
        ("time", "sleep", {"disk"}),  # Windows does not say when an antivirus lets go of a file
    ],
)
def test_only_the_edges_of_the_launcher_touch(owner: str, name: str, edges: set[str]) -> None:
    assert {path.stem for path in modules("launcher") if uses(path, owner, name)} <= edges


def test_what_tests_share_lies_among_the_builders() -> None:
    for path in modules("tests"):
        if path.name.startswith("test_"):
            assert {name.split(".")[1] for name in imports(path) if name.startswith("tests.")} <= {"builders"}, path
