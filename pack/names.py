"""One package, two names: conda-forge's and the Python package index's, and the same for versions.

Most packages have one name for both; the table holds the others that our stack meets. A package whose name is not
here keeps its Python name, so an unknown one is never lost, at worst called as the Python world calls it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.specifiers import Specifier

CONDA_NAMES = {
    "brotli": "brotli-python",
    "huggingface-hub": "huggingface_hub",
    "msgpack": "msgpack-python",
    "opt-einsum": "opt_einsum",
    "prompt-toolkit": "prompt_toolkit",
    "torch": "pytorch",
    "typing-extensions": "typing_extensions",
    "tzdata": "python-tzdata",
    "xxhash": "python-xxhash",
}

# conda has no extras: conda-forge names a package with one of them as a package of its own.
EXTRAS = {"uvicorn-standard": "uvicorn[standard]"}

_WHEEL_NAMES = {conda: wheel for wheel, conda in CONDA_NAMES.items()}


def conda_name(name: str, extra: str | None = None) -> str:
    """Return conda-forge's name of a Python package, or of one of its extras ("uvicorn", "standard")."""
    canonical = canonicalize_name(name)
    conda = CONDA_NAMES.get(canonical, canonical)
    return conda if extra is None else f"{conda}-{canonicalize_name(extra)}"


def requirement(name: str, version: str) -> Requirement:
    """Return what to ask pip for, given a package's conda name and exact version."""
    asked = Requirement(EXTRAS.get(name, _WHEEL_NAMES.get(name, name)))
    extras = f"[{','.join(sorted(asked.extras))}]" if asked.extras else ""
    return Requirement(f"{asked.name}{extras}=={version}")


def conda_version(version: Version) -> str:
    """Return a Python version as conda writes it: without the local label, which conda puts in the build string."""
    return version.public


def match_specs(asked: Requirement) -> list[str]:
    """Return the conda match specs that say what a requirement says: one for its name, or one for each extra."""
    versions = ",".join(sorted(_constraint(specifier) for specifier in asked.specifier))
    names = [conda_name(asked.name, extra) for extra in sorted(asked.extras)] or [conda_name(asked.name)]
    return [f"{name} {versions}".rstrip() for name in names]


def _constraint(specifier: Specifier) -> str:
    """Return one clause of a Python version specifier as conda writes it.

    `~=1.4.2` is spelled out: conda knows the operator, but other readers of repodata do not all.
    """
    version = specifier.version
    if specifier.operator == "~=":
        series = ".".join(str(part) for part in Version(version).release[:-1])
        return f">={version},{series}.*"
    if specifier.operator in {"==", "==="}:
        return version if version.endswith(".*") else f"=={conda_version(Version(version))}"
    return f"{specifier.operator}{version}"


def holds(asked: Requirement, environment: Mapping[str, str], extra: str | None = None) -> bool:
    """Whether a requirement's marker holds in `environment`, for the package itself or for one of its extras."""
    return asked.marker is None or asked.marker.evaluate({**environment, "extra": extra or ""})
