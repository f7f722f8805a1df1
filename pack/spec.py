"""environment.yml, one platform and one accelerator: what we ask for.

The file is a standard conda environment. Its comments carry conda-lock's platform selectors, `# [linux64] reason`:
one word in brackets keeps the line to the platforms that the word names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

import yaml

from launcher.platforms import Platform
from pack.errors import SpecInvalid, WrongAccelerator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOCAL = "local"
"""conda's own name for a channel that was built on this machine."""

TORCH = "pytorch"


class Accelerator(StrEnum):
    """Which torch build a lock holds."""

    CUDA = "cuda"
    MPS = "mps"
    CPU = "cpu"


# Where the platform has one build only there is nothing to choose; elsewhere pytorch's build string chooses.
ACCELERATORS = {
    Platform.LINUX_64: (Accelerator.CUDA, Accelerator.CPU),
    Platform.LINUX_AARCH64: (Accelerator.CUDA, Accelerator.CPU),
    Platform.OSX_64: (Accelerator.CPU,),
    Platform.OSX_ARM64: (Accelerator.MPS,),
    Platform.WIN_64: (Accelerator.CUDA, Accelerator.CPU),
}

# The least drivers of CUDA's major versions on Linux, since minor versions are compatible among themselves:
# https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html
LEAST_DRIVER = {"11": "450", "12": "525", "13": "580"}

# The words of conda-lock; "osx64" and "arm64" are its names for the two kinds of Mac.
SELECTORS = {
    Platform.LINUX_64: {"linux64", "linux", "unix"},
    Platform.LINUX_AARCH64: {"aarch64", "linux", "unix"},
    Platform.OSX_64: {"osx64", "osx", "unix"},
    Platform.OSX_ARM64: {"arm64", "osx", "unix"},
    Platform.WIN_64: {"win64", "win"},
}

_LINE = re.compile(
    r"(?:(?P<channel>[\w.-]+)::)?(?P<name>[a-z0-9_][a-z0-9_.-]*)"
    r"(?:={1,2}(?P<version>[^\s=]+)(?:=(?P<build>[^\s=]+))?)?"
)
_EXACT = re.compile(r"\d+(\.\d+)+([a-z]+\d+)?(\.post\d+)?")
_SELECTOR = re.compile(r"\[([^\[\]]*)\]")


@dataclass(frozen=True)
class Line:
    """One package of the spec, as one line of environment.yml asks for it."""

    number: int
    name: str
    version: str
    build: str | None = None
    channel: str | None = None
    reason: str = ""

    @property
    def match_spec(self) -> str:
        """The line as a conda match spec; python's minor version stands for all its releases."""
        version = f"{self.version}.*" if self.name == "python" else f"=={self.version}"
        return " ".join(part for part in (self.name, version, self.build) if part)

    @property
    def is_local(self) -> bool:
        """Whether the package comes from a channel built here, whatever the other channels have."""
        return self.channel == LOCAL


@dataclass(frozen=True)
class Spec:
    """What we ask for: `lines` for one platform and accelerator, from `channels` in their order."""

    platform: Platform
    accelerator: Accelerator
    channels: tuple[str, ...]
    lines: tuple[Line, ...]

    @classmethod
    def from_path(cls, path: Path, *, platform: Platform, accelerator: Accelerator | None = None) -> Spec:
        """Read environment.yml at `path`; raise SpecInvalid or WrongAccelerator."""
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise SpecInvalid("there is no such file", path=path) from None
        except UnicodeDecodeError as error:
            raise SpecInvalid(f"it is not UTF-8 ({error.reason})", path=path) from error
        return cls.from_text(text, platform=platform, accelerator=accelerator)

    @classmethod
    def from_text(cls, text: str, *, platform: Platform, accelerator: Accelerator | None = None) -> Spec:
        """Read environment.yml's text for `platform`, with the accelerator of its pytorch line unless one is given.

        Raises SpecInvalid, with the line's number, and WrongAccelerator where the platform has no such build.
        """
        if accelerator is not None and accelerator not in ACCELERATORS[platform]:
            choices = " or ".join(ACCELERATORS[platform])
            raise WrongAccelerator(
                f"pytorch has no {accelerator} build for {platform}.",
                f"Use --accelerator {choices}, or leave it out.",
            )
        channels, entries = _document(text)
        comments = text.splitlines()
        lines = tuple(
            line
            for value, number in entries
            if (line := _line(value, number, _comment(comments[number - 1], value), platform)) is not None
        )
        _check_names(lines, platform)
        lines = tuple(_with_torch_build(line, platform, accelerator) for line in lines)
        return cls(platform, _accelerator(lines, platform), tuple(channels), lines)

    @property
    def python(self) -> str:
        """Python's minor version, such as "3.11"."""
        return next(line.version for line in self.lines if line.name == "python")


def _document(text: str) -> tuple[list[str], list[tuple[str, int]]]:
    """Return the channels, and each dependency with its line number, of a YAML text of the right shape."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise SpecInvalid(f"it is not YAML: {error.problem}", line) from error
    except yaml.YAMLError as error:
        raise SpecInvalid(f"it is not YAML: {error}") from error
    if not isinstance(root, yaml.MappingNode):
        raise SpecInvalid("it has to be a mapping with the keys name, channels and dependencies", 1)
    keys = {key.value: (key, value) for key, value in root.value}
    for name, (key, _) in keys.items():
        if name not in {"name", "channels", "dependencies"}:
            raise SpecInvalid(f"the key {name!r} is not one of name, channels and dependencies", _number(key))
    for name in ("channels", "dependencies"):
        if name not in keys:
            raise SpecInvalid(f"the key {name!r} is missing", _number(root))
    channels = [value for value, _ in _strings(*keys["channels"])]
    return channels, list(_strings(*keys["dependencies"]))


def _strings(key: yaml.Node, node: yaml.Node) -> Iterator[tuple[str, int]]:
    """Yield the strings of a list, each with its line number."""
    if not isinstance(node, yaml.SequenceNode) or not node.value:
        raise SpecInvalid(f"{key.value!r} has to be a list with at least one entry", _number(key))
    for item in node.value:
        if isinstance(item, yaml.MappingNode):
            raise SpecInvalid(
                "only conda packages can be named here; a package that no channel has is written local::name=version",
                _number(item),
            )
        if not isinstance(item, yaml.ScalarNode) or not item.value:
            raise SpecInvalid(f"each entry of {key.value!r} has to be a word", _number(item))
        yield item.value, _number(item)


def _number(node: yaml.Node) -> int:
    """Return the line, counted from 1, on which a YAML node starts."""
    return int(node.start_mark.line) + 1


def _comment(source: str, value: str) -> str:
    """Return what stands behind the first # after `value` in its source line."""
    return source.partition(value)[2].partition("#")[2].strip()


def _line(value: str, number: int, comment: str, platform: Platform) -> Line | None:
    """Read one dependency; None when its selector leaves the platform out."""
    selectors = _SELECTOR.findall(comment)
    if unknown := set(selectors) - set().union(*SELECTORS.values()):
        raise SpecInvalid(f"[{unknown.pop()}] is no platform selector", number)
    match = _LINE.fullmatch(value)
    if match is None or match["version"] is None:
        raise SpecInvalid(f"{value!r} has to be pinned, as name=version or name=version=build", number)
    if not _EXACT.fullmatch(match["version"]):
        raise SpecInvalid(f"{value!r} has to name one version, not a range of them", number)
    if match["channel"] not in {None, LOCAL}:
        raise SpecInvalid(f"{match['channel']!r} has to stand under channels; only local:: may be named here", number)
    if selectors and not SELECTORS[platform].intersection(selectors):
        return None
    reason = _SELECTOR.sub("", comment).strip()
    return Line(number, match["name"], match["version"], match["build"], match["channel"], reason)


def _check_names(lines: tuple[Line, ...], platform: Platform) -> None:
    """Raise SpecInvalid unless each name occurs once, python among them."""
    seen: dict[str, int] = {}
    for line in lines:
        if line.name in seen:
            raise SpecInvalid(f"{line.name} stands on line {seen[line.name]} already, for {platform}", line.number)
        seen[line.name] = line.number
    if "python" not in seen:
        raise SpecInvalid(f"no line names python for {platform}")


def _with_torch_build(line: Line, platform: Platform, asked: Accelerator | None) -> Line:
    """Return the line with the build that was asked for, if it is pytorch's; its build string is never left open.

    Without a build string a solver takes a CPU build in silence wherever the platform has both, even on a machine
    with a card.
    """
    if line.name != TORCH or len(ACCELERATORS[platform]) == 1:
        return line
    if line.build is None:
        raise SpecInvalid(
            f"pytorch needs a build string on {platform}, such as pytorch={line.version}=cuda*; "
            "without one a solver takes the CPU build silently",
            line.number,
        )
    return line if asked is None else replace(line, build=f"{asked}*")


def _accelerator(lines: tuple[Line, ...], platform: Platform) -> Accelerator:
    """Return the accelerator whose name opens the build string of the pytorch line."""
    choices = ACCELERATORS[platform]
    torch = next((line for line in lines if line.name == TORCH), None)
    if torch is None or len(choices) == 1:
        return choices[-1]
    for accelerator in choices:
        if torch.build is not None and torch.build.startswith(accelerator):
            return accelerator
    raise SpecInvalid(f"the build string {torch.build!r} names neither {' nor '.join(choices)}", torch.number)
