"""A wheel, read: what it is called, what it needs, where it runs."""

from __future__ import annotations

import re
import string
from dataclasses import dataclass
from email.parser import HeaderParser
from functools import cached_property
from hashlib import file_digest
from typing import TYPE_CHECKING
from zipfile import ZipFile

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

from launcher.platforms import Platform
from pack.licenses import license_named
from pack.names import conda_name, conda_version, holds, match_specs
from pack.wheelfaults import faults_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from packaging.tags import Tag
    from packaging.version import Version

TORCH = "torch"

_GLIBC = re.compile(r"manylinux_(\d+)_(\d+)_")
_MACOS = re.compile(r"macosx_(\d+)_(\d+)_")
_CUDA = re.compile(r"^cuda\b[^=]*=\s*['\"]([\d.]+)['\"]", re.MULTILINE)

# How projects label the place of their sources; all but "code" and "githubrepo" are well known by specification.
_REPOSITORY = ("source", "repository", "sourcecode", "github", "code", "githubrepo")
_NO_LETTERS = str.maketrans("", "", string.punctuation + string.whitespace)

# manylinux's names from before they told the glibc (PEP 600 gives the meaning).
_OLD_MANYLINUX = {"manylinux1_": (2, 5), "manylinux2010_": (2, 12), "manylinux2014_": (2, 17)}


@dataclass(frozen=True)
class Wheel:
    """A wheel file and what its METADATA says."""

    path: Path
    sha256: str
    name: str
    version: Version
    tags: frozenset[Tag]
    requires: tuple[Requirement, ...]
    extras: frozenset[str]
    license: str | None
    summary: str | None
    homepage: str | None
    repository: str | None
    """Where the project's sources are."""
    cuda: str | None = None
    """The CUDA version that torch was built for, such as "13.2"; None for a CPU build and for other wheels."""

    @classmethod
    def from_path(cls, path: Path) -> Wheel:
        """Read the wheel at `path`; raise WheelInvalid."""
        with faults_of(path, "it is not a wheel that we can read"):
            name, version, _, tags = parse_wheel_filename(path.name)
            with path.open("rb") as file:
                sha256 = file_digest(file, "sha256").hexdigest()
            with ZipFile(path) as archive:
                stem = "-".join(path.name.split("-")[:2])
                metadata = HeaderParser().parsestr(archive.read(f"{stem}.dist-info/METADATA").decode())
                cuda = _torch_cuda(archive) if name == TORCH else None
            requires = tuple(Requirement(line) for line in metadata.get_all("Requires-Dist", ()))
        pages = _pages(metadata.get_all("Project-URL", ()))
        return cls(
            path=path,
            sha256=sha256,
            name=name,
            version=version,
            tags=tags,
            requires=requires,
            extras=frozenset(canonicalize_name(extra) for extra in metadata.get_all("Provides-Extra", ())),
            license=license_named(
                metadata.get("License-Expression"), metadata.get("License"), metadata.get_all("Classifier", ())
            ),
            summary=metadata.get("Summary"),
            homepage=metadata.get("Home-page") or pages.get("homepage"),
            repository=next((pages[label] for label in _REPOSITORY if label in pages), None),
            cuda=cuda,
        )

    @cached_property
    def conda_version(self) -> str:
        """The version as conda writes it."""
        return conda_version(self.version)

    @property
    def build_prefix(self) -> str:
        """What opens the build string: for torch the kind of build, as conda-forge has it."""
        if self.name != TORCH:
            return ""
        return f"cuda{self.cuda.replace('.', '')}_" if self.cuda else "cpu_"

    def needs(self, environment: Mapping[str, str], extra: str | None = None) -> list[Requirement]:
        """Return the requirements whose markers hold: the wheel's own, or what `extra` adds to them."""
        if extra is None:
            return [asked for asked in self.requires if holds(asked, environment)]
        return [asked for asked in self.requires if holds(asked, environment, extra) and not holds(asked, environment)]

    def depends(self, environment: Mapping[str, str], extra: str | None = None) -> list[str]:
        """Return what the conda package of this wheel, or of one of its extras, depends on."""
        needed = {spec for asked in self.needs(environment, extra) for spec in match_specs(asked)}
        if extra is not None:
            return sorted({f"{conda_name(self.name)} =={self.conda_version}", *needed})
        system = {spec for spec in (_glibc(self.tags), _macos(self.tags)) if spec}
        if self.cuda:
            # CUDA's minor versions are compatible with each other's drivers, its major ones are not.
            system.add(f"__cuda >={self.cuda.partition('.')[0]}")
        return sorted(needed | system)


def marker_environment(platform: Platform, python: str) -> dict[str, str]:
    """Return the values that markers (PEP 508) have on `platform` with CPython `python` ("3.11.7" or "3.11")."""
    full = python if python.count(".") > 1 else f"{python}.0"
    system, sys_platform, os_name = (
        ("Windows", "win32", "nt")
        if platform.is_windows
        else ("Darwin", "darwin", "posix")
        if platform.is_macos
        else ("Linux", "linux", "posix")
    )
    machine = {
        Platform.LINUX_AARCH64: "aarch64",
        Platform.OSX_ARM64: "arm64",
        Platform.WIN_64: "AMD64",
    }.get(platform, "x86_64")
    return {
        "implementation_name": "cpython",
        "implementation_version": full,
        "os_name": os_name,
        "platform_machine": machine,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": system,
        "platform_version": "",
        "python_full_version": full,
        "python_version": ".".join(full.split(".")[:2]),
        "sys_platform": sys_platform,
    }


def _glibc(tags: frozenset[Tag]) -> str | None:
    """Return the least glibc that a wheel's tags ask for, as a dependency."""
    found = []
    for tag in tags:
        if match := _GLIBC.match(tag.platform):
            found.append((int(match[1]), int(match[2])))
        found += [least for name, least in _OLD_MANYLINUX.items() if tag.platform.startswith(name)]
    return "__glibc >={}.{}".format(*min(found)) if found else None


def _macos(tags: frozenset[Tag]) -> str | None:
    """Return the least macOS that a wheel's tags ask for, as a dependency."""
    found = [(int(match[1]), int(match[2])) for tag in tags if (match := _MACOS.match(tag.platform))]
    return "__osx >={}.{}".format(*min(found)) if found else None


def _torch_cuda(archive: ZipFile) -> str | None:
    """Return the CUDA version that torch/version.py names, which is what torch itself reports."""
    match = _CUDA.search(archive.read("torch/version.py").decode())
    return match[1] if match else None


def _pages(urls: Iterable[str]) -> dict[str, str]:
    """Return the addresses of Project-URL by their labels, as small letters without punctuation and spaces.

    https://packaging.python.org/specifications/well-known-project-urls/ asks readers to compare labels like that.
    """
    labelled = (url.partition(",") for url in urls)
    return {label.translate(_NO_LETTERS).lower(): address.strip() for label, _, address in labelled}
