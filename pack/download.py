"""Wheels for a spec, from wherever this machine's pip gets them.

pip resolves once and its answer is kept beside the wheels, so asking for the same again gives the same and fetches
nothing. Delete the folder to ask anew.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import subprocess
import tempfile
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from pack.errors import WheelInvalid, WheelsUnavailable
from pack.folder import write_whole
from pack.progress import Progress, one_step, silent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from packaging.requirements import Requirement


def download(
    requirements: Sequence[Requirement],
    *,
    wheels: Path,
    python: Path,
    minor: str,
    follow: bool = True,
    progress: Progress = silent,
) -> list[Path]:
    """Fetch wheels for `requirements` into the folder `wheels` with the pip of `python`, and return their paths.

    With `follow`, what they need is fetched too, extras included, as pip resolves it for `python` on this machine.
    Raises WheelsUnavailable, also where `python` is not of the version `minor` ("3.11"): pip answers for its own; and
    WheelInvalid for a wheel that has changed since it was fetched.
    """
    asked = sorted(str(requirement) for requirement in requirements)
    if not asked:
        return []
    wheels.mkdir(parents=True, exist_ok=True)
    key = hashlib.sha256(json.dumps([asked, follow, minor]).encode()).hexdigest()[:16]
    answer = wheels / f"resolved-{key}.json"
    kept = _kept(answer)
    if kept and all((wheels / name).exists() for name in kept):
        return [_unchanged(wheels / name, sha256) for name, sha256 in kept.items()]
    _check_version(python, minor)
    with one_step(progress, "ask pip for wheels"):
        resolved = _resolve(asked, python=python, follow=follow)
    pins = [
        f"{item['metadata']['name']}=={item['metadata']['version']}"
        for item in resolved
        if not (wheels / _name_of(item)).exists()
    ]
    if pins:
        total, there = len(resolved), len(resolved) - len(pins)
        _fetch(pins, python=python, wheels=wheels, progress=lambda done: progress("fetch wheels", there + done, total))
        progress("fetch wheels", total, total)
    checked = dict(sorted(_checked(item, wheels) for item in resolved))
    write_whole(answer, json.dumps({"asked": asked, "wheels": checked}, indent=2))
    return [wheels / name for name in checked]


def _kept(answer: Path) -> dict[str, str]:
    """Return the wheels of an answer that was kept, name → SHA-256; nothing where there is none that can be read."""
    try:
        wheels = json.loads(answer.read_text(encoding="utf-8"))["wheels"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return {}
    return wheels if isinstance(wheels, dict) else {}


def _unchanged(wheel: Path, expected: str) -> Path:
    """Return the path of a wheel; raise WheelInvalid unless it still has the hash that it was fetched with."""
    if (actual := _sha256(wheel)) != expected:
        raise WheelInvalid(f"it has the SHA-256 {actual}, where it had {expected} when it was fetched", wheel)
    return wheel


def _check_version(python: Path, minor: str) -> None:
    """Raise WheelsUnavailable unless `python` is of the version `minor`."""
    ask = "import sys; print('{}.{}'.format(*sys.version_info))"
    ended = subprocess.run([str(python), "-c", ask], capture_output=True, text=True, check=True)
    if ended.stdout.strip() != minor:
        raise WheelsUnavailable(f"{python} is Python {ended.stdout.strip()}, and environment.yml asks for {minor}")


def _resolve(asked: Sequence[str], *, python: Path, follow: bool) -> list[dict[str, Any]]:
    """Return what pip would install for `asked`: the entries of its installation report, version 1."""
    follow_or_not = () if follow else ("--no-deps",)
    report = _pip(
        python, "install", "--dry-run", "--ignore-installed", "--report", "-", "--quiet", *follow_or_not, *asked
    )
    installed: list[dict[str, Any]] = json.loads(report)["install"]
    return installed


def _name_of(item: dict[str, Any]) -> str:
    """Return the file name of the wheel that an entry of pip's report stands for."""
    return unquote(item["download_info"]["url"].rpartition("/")[2])


def _checked(item: dict[str, Any], wheels: Path) -> tuple[str, str]:
    """Return name and SHA-256 of an entry's wheel in the folder `wheels`, the hash checked against the entry."""
    name, expected = _name_of(item), item["download_info"]["archive_info"]["hashes"]["sha256"]
    if not (wheels / name).exists():
        raise WheelsUnavailable(f"it resolved {name} and did not fetch it")
    if (actual := _sha256(wheels / name)) != expected:
        raise WheelsUnavailable(f"{name} has the SHA-256 {actual}, where pip's index says {expected}; delete it")
    return name, actual


def _sha256(wheel: Path) -> str:
    with wheel.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fetch(pins: Sequence[str], *, python: Path, wheels: Path, progress: Callable[[int], None]) -> None:
    """Fetch a wheel for each pin; `progress` is told how many are done as pip begins with one."""
    begun = itertools.count()

    def listen(line: str) -> None:
        # What pip says of each, in turn: the first of what it fetches, the second of a file on this machine.
        if line.startswith(("Collecting ", "Processing ")):
            progress(next(begun))

    _pip(python, "download", "--no-deps", "--dest", str(wheels), *pins, listen=listen)


def _pip(python: Path, act: str, *arguments: str, listen: Callable[[str], None] = lambda _: None) -> str:
    """Run pip for wheels only, and return its output, each line of which `listen` is told as it comes."""
    command = [str(python), "-m", "pip", act, "--only-binary=:all:", "--no-input", *arguments]
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, encoding="utf-8") as running,
    ):
        assert running.stdout is not None
        output = []
        for line in running.stdout:
            output.append(line)
            listen(line)
        status = running.wait()
        errors.seek(0)
        said = errors.read()
    if status != 0:
        reasons = [line for line in said.splitlines() if line.startswith("ERROR:")]
        raise WheelsUnavailable("\n".join(reasons) or said.strip() or f"pip ended with {status}")
    return "".join(output)
