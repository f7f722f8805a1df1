"""Where a build keeps what: every path below build/ and dist/, and what was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pack.spec import LOCAL
from pack.toml import read_toml

if TYPE_CHECKING:
    from pathlib import Path

    from launcher.platforms import Platform
    from pack.spec import Accelerator, Spec

CONDA_FORGE = "conda-forge"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """A checkout and one build in it; `channel` is conda-forge, a channel's URL, or "local", made from wheels."""

    project: Path
    spec: Spec
    channel: str
    locked: bool
    level: int
    part_size: int

    @property
    def platform(self) -> Platform:
        """The platform built for."""
        return self.spec.platform

    @property
    def accelerator(self) -> Accelerator:
        """Which torch build goes in."""
        return self.spec.accelerator

    @property
    def version(self) -> str:
        """The product's version, which pyproject.toml holds; raises SpecInvalid."""
        return read_toml(self.project / "pyproject.toml", lambda document: str(document["project"]["version"]))

    @property
    def from_wheels(self) -> bool:
        """Whether every package comes from the channel built here."""
        return self.channel == LOCAL

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels to solve from beside the one built here."""
        return () if self.from_wheels else (self.channel,)

    @property
    def build(self) -> Path:
        """Everything that can be made again."""
        return self.project / "build"

    @property
    def wheels(self) -> Path:
        """Downloaded wheels."""
        return self.build / "wheels"

    @property
    def local_channel(self) -> Path:
        """The channel built here: all of the spec, or what no other channel has."""
        return self.build / ("channel" if self.from_wheels else "channel-additions")

    @property
    def packages(self) -> Path:
        """The cache of unpacked packages, from which conda-pack takes each file as its package brought it."""
        return self.build / "pkgs"

    @property
    def repodata(self) -> Path:
        """The cache of channels' lists of packages."""
        return self.build / "repodata"

    @property
    def bytecode(self) -> Path:
        """The cache of compiled sources."""
        return self.build / "bytecode"

    @property
    def stubs(self) -> Path:
        """Frozen launchers."""
        return self.build / "stub"

    @property
    def _own(self) -> Path:
        return self.build / f"{self.platform}-{self.accelerator}"

    @property
    def lock(self) -> Path:
        """The lock: conda-forge's is in the repository, since a person reviews what it changes; others are built."""
        name = f"{self.platform}-{self.accelerator}.lock"
        return self.project / "pack" / "locks" / name if self.channel == CONDA_FORGE else self._own / name

    @property
    def prefix(self) -> Path:
        """The build prefix."""
        return self._own / "prefix"

    @property
    def archive(self) -> Path:
        """Archive, index and manifest."""
        return self._own / "archive"

    @property
    def pruned(self) -> Path:
        """What was left out of the archive, and the bytes that saved, rule by rule."""
        return self._own / "pruned.txt"

    @property
    def resources(self) -> Path:
        """What Electron's builder copies."""
        return self.project / "dist" / self.platform / "resources"

    @property
    def verification(self) -> Path:
        """The report of the last verification of the resources."""
        return self.resources.with_name("verify.json")

    @property
    def release(self) -> Path:
        """What a release page shows of them."""
        return self.resources.with_name("release")
