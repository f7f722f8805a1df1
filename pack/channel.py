"""A conda channel on this machine, made from wheels, our backend and the running interpreter.

Every package's build string holds a digest of what it was made from. So what is there already is what would be
written again, and only what changed is written.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name
from rattler.index import index_fs

from launcher.platforms import Platform
from pack.backendwheel import write_backend_wheel
from pack.condapackage import CondaPackage, write_package
from pack.download import download
from pack.errors import PackageUnknown, WheelsUnavailable, WrongAccelerator
from pack.layout import lay_out
from pack.names import conda_name, requirement
from pack.progress import Progress, one_step, silent
from pack.pythonpackage import write_python
from pack.spec import TORCH, Accelerator, Spec
from pack.wheel import Wheel, marker_environment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from packaging.requirements import Requirement

REVISION = 3
"""Raised when the same wheel becomes a different package, so that packages written before are written anew."""


@dataclass(frozen=True)
class LocalChannel:
    """A channel that was built here: its folder, and the packages in it."""

    path: Path
    packages: tuple[Path, ...]
    written: int
    """How many of the packages this build wrote; the others were there."""


@dataclass(frozen=True)
class Conversion:
    """One package to be: what it will say of itself, and the wheel whose files it holds (None: it holds none)."""

    package: CondaPackage
    wheel: Wheel | None = field(compare=False, default=None)


def build_channel(
    spec: Spec,
    *,
    out: Path,
    wheels: Path,
    project: Path,
    whole: bool = True,
    python: Path = Path(sys.executable),
    progress: Progress = silent,
) -> LocalChannel:
    """Build a channel in `out` and return it; `wheels` is the folder that keeps downloaded wheels.

    A `whole` channel holds all that `spec` needs: every wheel, the interpreter `python`, and the backend of the
    checkout `project`. Otherwise it holds what conda-forge does not have: the spec's local:: lines and the backend.

    Raises WheelsUnavailable, WheelInvalid, WrongAccelerator, InterpreterUnsupported and PackageUnknown.
    """
    asked = [requirement(line.name, line.version) for line in spec.lines if line.name != "python"]
    if not whole:
        asked = [requirement(line.name, line.version) for line in spec.lines if line.is_local]
    _check_machine(spec.platform, asked)
    fetched = download(asked, wheels=wheels, python=python, minor=spec.python, follow=whole, progress=progress)
    found = [Wheel.from_path(path) for path in fetched]
    _check_accelerator(spec, found, wheels)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="channel-", dir=out.parent) as scratch:
        backend = Wheel.from_path(write_backend_wheel(project, Path(scratch)))
        conversions = [
            *conversions_of(found, asked, platform=spec.platform, python=spec.python, follow=whole),
            noarch_conversion(backend, python=spec.python),
        ]
        written: list[Path] = []
        for done, conversion in enumerate(conversions):
            progress("make packages", done, len(conversions))
            if not (out / conversion.package.subdir / conversion.package.file_name).exists():
                written.append(_convert(conversion, channel=out, python=spec.python, scratch=Path(scratch)))
        progress("make packages", len(conversions), len(conversions))
        packages = {out / one.package.subdir / one.package.file_name for one in conversions}
        if whole:
            with one_step(progress, "make the interpreter's package"):
                interpreter, is_new = write_python(
                    python, channel=out, platform=spec.platform, minor=spec.python, scratch=Path(scratch)
                )
            packages.add(interpreter)
            written += [interpreter] if is_new else []
    stale = {path for path in out.glob("*/*.conda") if path not in packages}
    for path in stale:
        path.unlink()
    if written or stale or not (out / "noarch" / "repodata.json").exists():
        with one_step(progress, "index the channel"):
            _index(out, spec.platform)
    return LocalChannel(out, tuple(sorted(packages)), len(written))


def conversions_of(
    wheels: Iterable[Wheel], asked: Sequence[Requirement], *, platform: Platform, python: str, follow: bool = True
) -> list[Conversion]:
    """Return the packages that `asked` names, each with its wheel; an extra becomes a package of its own, without one.

    With `follow`, also those that they need, and so on. Raises PackageUnknown for one that has no wheel.

    The packages are the platform's, even those of pure Python: markers make a wheel's needs differ by platform, and a
    noarch package can name only one list of them.
    """
    environment = marker_environment(platform, python)
    by_name = {wheel.name: wheel for wheel in wheels}
    conversions: dict[tuple[str, str | None], Conversion] = {}
    waiting = list(asked)
    while waiting:
        needed = waiting.pop()
        name = canonicalize_name(needed.name)
        if name not in by_name:
            raise PackageUnknown({conda_name(name): None}, ["wheels that pip fetched"])
        wheel = by_name[name]
        for extra in (None, *sorted(canonicalize_name(extra) for extra in needed.extras)):
            if (name, extra) not in conversions:
                conversions[name, extra] = _conversion(wheel, extra, platform, python, environment)
                waiting += wheel.needs(environment, extra) if follow else []
    return sorted(conversions.values(), key=lambda one: one.package.name)


def noarch_conversion(wheel: Wheel, *, python: str) -> Conversion:
    """Return the package for a pure wheel whose needs are the same on every platform."""
    depends = tuple(sorted(f"python >={python}" if spec == "python" else spec for spec in wheel.depends({})))
    return Conversion(_package(wheel, None, "noarch", (f"python >={python}", *depends), f"py{python}"), wheel)


def _conversion(
    wheel: Wheel, extra: str | None, platform: Platform, python: str, environment: Mapping[str, str]
) -> Conversion:
    """Return the platform's package for a wheel, or for one of its extras."""
    depends = wheel.depends(environment, extra)
    if extra is None:
        depends = [f"python {python}.*", *depends]
    package = _package(wheel, extra, str(platform), tuple(depends), f"py{python.replace('.', '')}")
    return Conversion(package, wheel if extra is None else None)


def _package(wheel: Wheel, extra: str | None, subdir: str, depends: tuple[str, ...], abi: str) -> CondaPackage:
    """Return what the package says of itself; its build string ends with a digest of its making."""
    digest = hashlib.sha256(json.dumps([REVISION, wheel.sha256, subdir, depends]).encode()).hexdigest()[:7]
    return CondaPackage(
        name=conda_name(wheel.name, extra),
        version=wheel.conda_version,
        build=f"{wheel.build_prefix if extra is None else ''}{abi.replace('.', '')}_h{digest}_0",
        subdir=subdir,
        depends=depends,
        license=wheel.license,
        summary=wheel.summary,
        homepage=wheel.homepage,
        repository=wheel.repository,
        source={"wheel": wheel.path.name, "sha256": wheel.sha256},
    )


def _convert(conversion: Conversion, *, channel: Path, python: str, scratch: Path) -> Path:
    """Write one package into the channel."""
    package = conversion.package
    platform = None if package.subdir == "noarch" else Platform(package.subdir)
    with tempfile.TemporaryDirectory(dir=scratch) as staged:
        files = Path(staged)
        licenses: dict[str, Path] = {}
        if conversion.wheel is not None:
            licenses = lay_out(conversion.wheel.path, files, platform=platform, python=python)
        return write_package(package, files=files, channel=channel, license_files=licenses)


def _check_machine(platform: Platform, asked: Sequence[Requirement]) -> None:
    """Raise WheelsUnavailable where pip would answer for another platform: it reads markers for its own only."""
    if asked and platform is not Platform.current():
        named = ", ".join(str(need) for need in asked[:3])
        raise WheelsUnavailable(
            f"{named}: wheels for {platform} have to be fetched on {platform}; this is {Platform.current()}",
            f"Run the same command on {platform}.",
        )


def _check_accelerator(spec: Spec, found: Iterable[Wheel], kept: Path) -> None:
    """Raise WrongAccelerator where pip's torch is not the kind that was asked for; its answers are `kept`."""
    for wheel in found:
        if conda_name(wheel.name) != TORCH or spec.accelerator is Accelerator.MPS:
            continue
        kind = Accelerator.CUDA if wheel.cuda else Accelerator.CPU
        if kind is not spec.accelerator:
            raise WrongAccelerator(
                f"pip's torch is {wheel.path.name}, a {kind} build, and a {spec.accelerator} build was asked for.",
                f"Use --accelerator {kind}; or give pip an index whose torch is a {spec.accelerator} build, and delete "
                f"{kept}, where pip's answers are kept.",
            )


def _index(channel: Path, platform: Platform) -> None:
    """Write repodata.json for what is in the channel."""
    for subdir in ("noarch", platform):
        (channel / subdir).mkdir(exist_ok=True)
    asyncio.run(index_fs(channel, write_zst=False, write_shards=False))
