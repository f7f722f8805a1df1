"""The core: the packages of which the backend's server process opens anything, recorded by running it from the prefix.

A few per cent of the runtime. The launcher restores it first, so that the server answers while the rest arrives.
Nobody lists them by hand: Python's own audit events (PEP 578) name every file that is opened, the system names every
library that is loaded, and every route is asked for once. Packages come whole, since a branch that no recording took
(a codec, an error's own module) may import another file of theirs.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from launcher.environ import clean_environment
from pack.errors import ProgramFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from launcher.platforms import Platform
    from pack.source import Source

# Runs in the prefix's interpreter: a program's module or path, then its arguments. Written last: what was opened.
# conda-unpack runs without site-packages, so this needs the standard library alone.
RECORD = """
import json, os, runpy, sys
opened = set()
def note(event, arguments):
    if event in ("open", "import") and len(arguments) > 1:
        path = arguments[0] if event == "open" else arguments[1]
        if isinstance(path, (str, bytes, os.PathLike)):
            opened.add(os.path.abspath(os.fsdecode(path)))
sys.addaudithook(note)
record, program, *sys.argv[1:] = sys.argv[1:]
sys.argv[0] = program
try:
    if os.sep in program:
        sys.path[0] = os.path.dirname(program)
        runpy.run_path(program, run_name="__main__")
    else:
        runpy.run_module(program, run_name="__main__", alter_sys=True)
except SystemExit as ended:
    status = ended.code
else:
    status = 0
# Modules frozen into the interpreter are never opened, but os.py is the landmark by which it finds its library.
opened |= {os.path.abspath(m.__file__) for m in list(sys.modules.values()) if getattr(m, "__file__", None)}
if sys.platform == "darwin":
    import ctypes
    dyld = ctypes.CDLL(None)
    dyld._dyld_get_image_name.restype = ctypes.c_char_p
    opened |= {os.fsdecode(dyld._dyld_get_image_name(n)) for n in range(dyld._dyld_image_count())}
elif sys.platform == "win32":
    import ctypes
    from ctypes.wintypes import DWORD, HANDLE, HMODULE, LPWSTR
    kernel32 = ctypes.WinDLL("kernel32")
    kernel32.GetCurrentProcess.restype = HANDLE
    kernel32.K32EnumProcessModules.argtypes = [HANDLE, ctypes.POINTER(HMODULE), DWORD, ctypes.POINTER(DWORD)]
    kernel32.GetModuleFileNameW.argtypes = [HMODULE, LPWSTR, DWORD]
    libraries, size, name = (HMODULE * 4096)(), DWORD(), ctypes.create_unicode_buffer(32768)
    process = kernel32.GetCurrentProcess()
    if not kernel32.K32EnumProcessModules(process, libraries, ctypes.sizeof(libraries), ctypes.byref(size)):
        raise ctypes.WinError()
    for library in libraries[: size.value // ctypes.sizeof(HMODULE)]:
        if kernel32.GetModuleFileNameW(library, name, len(name)):
            opened.add(name.value)
else:
    opened |= {line.split(maxsplit=5)[5].strip() for line in open("/proc/self/maps") if "/" in line}
with open(record, "w", encoding="utf-8") as stream:
    json.dump(sorted(opened), stream)
sys.exit(status)
"""
_TOKEN = "recorded"  # noqa: S105 -- guards a server that lives for a second
_SECONDS = 60  # what one answer may take before the recording has failed


def find_core(prefix: Path, sources: Sequence[Source], platform: Platform) -> frozenset[str]:
    """Return the paths of the core among `sources`, which are what conda-pack found in `prefix` and its bytecode.

    Raises ProgramFailed where the server, run from the prefix, does not start or end as it should.
    """
    python = prefix / platform.python
    with tempfile.TemporaryDirectory(prefix="core-") as scratch:
        opened = _record_server(python, prefix, platform, Path(scratch))
        opened |= _record_relocation(python, prefix, platform, sources, Path(scratch))
    inside = {path for name in opened if (path := _inside(name, prefix)) is not None}
    # Whoever looks for plugins reads the metadata of all packages: that alone makes none a part of the server.
    packages = {source.package for source in sources if source.path in inside and not source.is_metadata}
    return frozenset(
        source.path for source in sources if source.package in packages or source.path in inside or source.relocated
    )


def walk(port: int, token: str) -> dict[str, int]:
    """Ask the server on `port` for every route that its own description names, with nothing and with something.

    Returns the HTTP status of each answer, by the request's method and path.
    """
    answers = {}
    _, description = ask(port, "GET", "/api/openapi.json", token)
    for path, methods in sorted(json.loads(description)["paths"].items()):
        if path == "/api/shutdown":
            continue
        for method in sorted(methods):
            place = path
            while "{" in place:
                place = place[: place.index("{")] + "none" + place[place.index("}") + 1 :]
            answers[f"{method.upper()} {path}"] = ask(port, method.upper(), place, token)[0]
    body = {"model": "/nonexistent", "dataset": "/nonexistent.jsonl"}
    answers["POST /api/training/start with a body"] = ask(port, "POST", "/api/training/start", token, body)[0]
    return answers


def ask(port: int, method: str, path: str, token: str, body: dict[str, Any] | None = None) -> tuple[int, bytes]:
    """Return the HTTP status and the body of the server's answer."""
    connection = HTTPConnection("127.0.0.1", port, timeout=_SECONDS)
    try:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        connection.request(method, path, json.dumps(body or {}), headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def _record_server(python: Path, prefix: Path, platform: Platform, scratch: Path) -> set[str]:
    record = scratch / "server.json"
    arguments = ["--json", "--until-eof", "--port", "0", "--data-dir", str(scratch / "files")]
    # Whoever builds may have models in a cache, and a network: what is recorded must not hang on either.
    own = {"PEFT_STUDIO_TOKEN": _TOKEN, "HOME": str(scratch), "HF_HOME": str(scratch / "hub"), "HF_HUB_OFFLINE": "1"}
    environment = clean_environment(os.environ, prefix, platform) | own
    with (
        (scratch / "stderr").open("wb") as errors,
        subprocess.Popen(
            [python, "-c", RECORD, record, "backend", *arguments],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
        ) as server,
    ):
        assert server.stdout is not None
        assert server.stdin is not None
        first: dict[str, Any] = json.loads(server.stdout.readline() or b"{}")
        if first.get("event") == "listening":
            walk(first["port"], _TOKEN)
        server.stdin.close()
        status = server.wait()
    if status or not record.exists():
        said = (scratch / "stderr").read_text(encoding="utf-8", errors="replace")
        raise ProgramFailed("The backend, run from the prefix,", status, f"{first} {said}")
    return set(json.loads(record.read_text(encoding="utf-8")))


def _record_relocation(
    python: Path, prefix: Path, platform: Platform, sources: Sequence[Source], scratch: Path
) -> set[str]:
    """Record what conda-unpack imports, by asking it for its version."""
    scripts = {Path(s.path).name: s for s in sources if "conda-unpack" in s.path or "conda_unpack" in s.path}
    for name, source in scripts.items():
        (scratch / name).write_bytes(source.read())
    script = scratch / ("conda-unpack-script.py" if platform.is_windows else "conda-unpack")
    record = scratch / "relocation.json"
    run = subprocess.run(
        [python, "-B", "-E", "-s", "-S", "-c", RECORD, record, script, "--version"],
        env=clean_environment(os.environ, prefix, platform),
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        raise ProgramFailed("conda-unpack", run.returncode, run.stderr)
    return set(json.loads(record.read_text(encoding="utf-8"))) | {str(prefix / s.path) for s in scripts.values()}


def _inside(name: str, prefix: Path) -> str | None:
    """Return an opened file's path below the prefix, as entries have it; None for a file elsewhere."""
    for root in (prefix, prefix.resolve()):
        if Path(name).is_relative_to(root):
            return Path(name).relative_to(root).as_posix()
    return None
