"""Bytecode for every source file of a runtime, made by the runtime's own interpreter.

conda-pack leaves out what no package brought, and the backend must write none beside its sources: without ours each
start would compile what it imports (fastapi and uvicorn take 1.5 s instead of 0.4 s). The hash in it is unchecked
(PEP 552): a mtime would differ with each unpacking, and --verify checks sources better.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from launcher.manifest import Kind
from pack.errors import ProgramFailed
from pack.source import Source

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pack.progress import Progress

# Runs inside the runtime's interpreter. Sources that are not Python of this version (templates, tests of other
# versions' syntax) have no bytecode, as after an ordinary installation; their paths are printed.
_COMPILE = """
import json, py_compile, sys, warnings
warnings.simplefilter("ignore")
for line in sys.stdin:
    source, name, made = json.loads(line)
    try:
        py_compile.compile(source, made, name, True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    except (py_compile.PyCompileError, ValueError, RecursionError):
        open(made, "wb").close()
    print(name, flush=True)
"""
_ASK_TAG = "import importlib.util, sys; print(sys.implementation.cache_tag, importlib.util.MAGIC_NUMBER.hex())"
_BATCH = 200  # files a child compiles: small enough that progress moves


def with_bytecode(sources: Sequence[Source], python: Path, cache: Path, progress: Progress) -> list[Source]:
    """Return the sources with bytecode beside each `.py` that is not relocated, and none that a package brought.

    A module that a package brings as bytecode alone stays: it has no source to be made from.

    `python` is the prefix's interpreter; what it made is kept in `cache` under the digest of its source and path.
    """
    tag, magic = _ask(python)
    paths = {source.path for source in sources}
    kept = [source for source in sources if not _can_be_made(source.path, paths)]
    wanted = [
        s for s in kept if s.kind is Kind.FILE and s.path.endswith(".py") and not s.relocated and s.at is not None
    ]
    made = {source.path: cache / magic / _digest(source) for source in wanted}
    (cache / magic).mkdir(parents=True, exist_ok=True)
    missing = [source for source in wanted if not made[source.path].exists()]
    batches = [missing[start : start + _BATCH] for start in range(0, len(missing), _BATCH)]
    done = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for count in pool.map(lambda batch: _compile(python, batch, made), batches):
            done += count
            progress("bytecode", done, len(missing))
    return kept + [
        Source(path=_cached(source.path, tag), package=source.package, kind=Kind.FILE, at=made[source.path])
        for source in wanted
        if made[source.path].stat().st_size
    ]


def _can_be_made(path: str, paths: set[str]) -> bool:
    return path.endswith(".pyc") and ("__pycache__/" in path or path.removesuffix("c") in paths)


def _ask(python: Path) -> tuple[str, str]:
    answer = subprocess.run([python, "-I", "-c", _ASK_TAG], capture_output=True, text=True, check=False)
    if answer.returncode:
        raise ProgramFailed(f"{python}", answer.returncode, answer.stderr)
    tag, magic = answer.stdout.split()
    return tag, magic


def _digest(source: Source) -> str:
    return hashlib.sha256(source.path.encode() + b"\0" + source.read()).hexdigest()


def _cached(path: str, tag: str) -> str:
    """Return where Python looks for the bytecode of `path` (PEP 3147)."""
    folder, _, name = path.rpartition("/")
    return f"{folder}/__pycache__/{name.removesuffix('.py')}.{tag}.pyc".removeprefix("/")


def _compile(python: Path, batch: Sequence[Source], made: dict[str, Path]) -> int:
    # Written under another name first: a file in the cache is whole.
    lines = [json.dumps([str(source.at), source.path, f"{made[source.path]}.new"]) for source in batch]
    run = subprocess.run(
        [python, "-I", "-B", "-c", _COMPILE], input="\n".join(lines), capture_output=True, text=True, check=False
    )
    if run.returncode:
        raise ProgramFailed("The compiler of bytecode", run.returncode, run.stderr)
    for source in batch:
        path = made[source.path]
        path.with_name(path.name + ".new").replace(path)
    return len(batch)
