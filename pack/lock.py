"""The exact packages of one platform and accelerator: solved once, written in rattler's lock format, read back."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import rattler
from packaging.version import Version
from rattler.exceptions import GatewayError, InvalidChannelError, ParseCondaLockError, SolverError
from rattler.package import BuildString

from launcher.platforms import Platform
from pack.errors import ChannelUnreachable, LockStale, PackageUnknown, SpecUnsolvable
from pack.spec import LOCAL, Accelerator, Spec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

# What a user's machine has to offer, never what this one happens to have. CUDA's driver counts by its major version.
PROMISED = {
    Platform.LINUX_64: {"__unix": "0", "__linux": "4.18", "__glibc": "2.28"},
    Platform.LINUX_AARCH64: {"__unix": "0", "__linux": "4.18", "__glibc": "2.28"},
    Platform.OSX_64: {"__unix": "0", "__osx": "13.0"},
    Platform.OSX_ARM64: {"__unix": "0", "__osx": "13.0"},
    Platform.WIN_64: {"__win": "10.0"},
}
PROMISED_CUDA = "12.9"

# How a lock names a channel that was built here: by no folder, so that the lock is the same wherever it was built.
LOCAL_URL = f"{LOCAL}:/"

_ENVIRONMENT = "default"
_LEAST = re.compile(r"(__\w+) >=([\d.]+)")


@dataclass(frozen=True)
class Lock:
    """What will be installed: `records` from `channels`, in the solver's order."""

    platform: Platform
    accelerator: Accelerator
    channels: tuple[str, ...]
    """As the lock names them; a channel built here is "local:/"."""
    records: tuple[rattler.RepoDataRecord, ...]

    @property
    def least(self) -> dict[str, str]:
        """What the packages ask of a machine at least, by conda's names: {"__glibc": "2.28", "__cuda": "12"}."""
        least = _greatest(words for record in self.records for words in (*record.depends, *record.constrains))
        if self.accelerator is not Accelerator.CUDA:
            least.pop("__cuda", None)  # only a condition, for machines that have a card
        return least

    def write(self, path: Path) -> None:
        """Write the lock to `path`; the same packages are the same bytes, wherever and whenever they were solved."""
        platform = rattler.LockPlatform(
            self.platform, virtual_packages=[f"{name}={version}" for name, version in sorted(self.least.items())]
        )
        file = rattler.LockFile([platform])
        file.set_channels(_ENVIRONMENT, [rattler.LockChannel(channel) for channel in self.channels])
        for record in self.records:
            file.add_conda_package(_ENVIRONMENT, platform, _portable(record, self.channels))
        path.parent.mkdir(parents=True, exist_ok=True)
        file.to_path(path)


def solve(
    spec: Spec,
    *,
    cache: Path,
    channels: Sequence[str] | None = None,
    local: Path | None = None,
    also: Sequence[str] = (),
) -> Lock:
    """Choose packages for `spec`, and for the names in `also`, from `channels` (by default the spec's own).

    The channel in the folder `local`, where given, comes before all others. `cache` keeps the channels' lists of
    packages. Raises PackageUnknown, ChannelUnreachable and SpecUnsolvable.
    """
    named = tuple(spec.channels if channels is None else channels)
    places = [*([local.resolve().as_uri()] if local else []), *named]
    gateway = rattler.Gateway(cache_dir=cache)
    platforms: list[rattler.Subdir] = [rattler.Subdir(spec.platform), rattler.Subdir("noarch")]
    asked = asyncio.run(_asked_of_machine(gateway, places[0], platforms)) if local else {}
    virtual = _virtual_packages(spec, asked)
    try:
        sources = [rattler.Channel(place) for place in places]
        records = asyncio.run(
            rattler.solve(
                sources=sources,
                specs=[*(line.match_spec for line in spec.lines), *also],
                gateway=gateway,
                platforms=platforms,
                virtual_packages=virtual,
            )
        )
    except (GatewayError, InvalidChannelError) as error:
        raise ChannelUnreachable(places, str(error)) from error
    except SolverError as error:
        names = {name.normalized for name in asyncio.run(gateway.names(sources, platforms))}
        _check_known(spec, also, names, places)
        raise SpecUnsolvable(spec.platform, spec.accelerator, str(error)) from error
    base = sources[0].base_url if local else None
    for record in records:
        record.indexed_timestamp = None  # when the list was written says nothing of the package
        if base and record.url.startswith(base):
            record.channel = base
    _check_local(spec, records, base)
    lock_channels = tuple(LOCAL_URL if source.base_url == base else source.base_url for source in sources)
    return Lock(spec.platform, spec.accelerator, lock_channels, tuple(sorted(records, key=_name)))


def read_lock(path: Path, spec: Spec, *, local: Path | None = None) -> Lock:
    """Read the lock at `path`, with its local packages in the folder `local`; raise LockStale unless it fits `spec`."""
    if not path.exists():
        raise LockStale("there is no such lock", path)
    try:
        environment = rattler.LockFile.from_path(path).default_environment()
    except ParseCondaLockError as error:
        raise LockStale(f"it is not a lock ({error})", path) from error
    records = environment.conda_repodata_records().get(spec.platform) if environment else None
    if environment is None or not records:
        raise LockStale(f"it holds nothing for {spec.platform}", path)
    by_name = {_name(record): record for record in records}
    for line in spec.lines:
        at = f"environment.yml, line {line.number}"
        if line.name not in by_name:
            raise LockStale(f"{at} asks for {line.match_spec}, which it does not hold", path)
        record = by_name[line.name]
        if not rattler.MatchSpec(line.match_spec).matches(record):
            held = f"{line.name} {record.version} {record.build}"
            raise LockStale(f"{at} asks for {line.match_spec}; it holds {held}", path)
    for record in records:
        if record.url.startswith(LOCAL_URL):
            _place(record, path, local)
    channels = tuple(str(channel) for channel in environment.channels())
    return Lock(spec.platform, spec.accelerator, channels, tuple(sorted(records, key=_name)))


def _place(record: rattler.RepoDataRecord, path: Path, local: Path | None) -> None:
    """Point a local package's record at its file; raise LockStale where the channel does not have it."""
    inside = record.url.removeprefix(LOCAL_URL)
    if local is None or not (local / inside).exists():
        raise LockStale(f"it holds {inside} of a local channel, which {local or 'was not named'} does not have", path)
    record.url = (local.resolve() / inside).as_uri()
    record.channel = f"{local.resolve().as_uri()}/"


def _portable(record: rattler.RepoDataRecord, channels: Sequence[str]) -> rattler.RepoDataRecord:
    """Return a record as the lock holds it: that of a local package without the folder that its channel is in."""
    if not record.url.startswith("file:") or record.url.startswith(tuple(channels)):
        return record
    inside = "/".join(record.url.split("/")[-2:])
    return rattler.RepoDataRecord(
        package_record=record, file_name=record.file_name, url=f"{LOCAL_URL}{inside}", channel=LOCAL_URL
    )


async def _asked_of_machine(gateway: rattler.Gateway, place: str, platforms: list[rattler.Subdir]) -> dict[str, str]:
    """Return the most that packages of the channel built here, at `place`, ask of a machine.

    They are made from what pip and this machine have, so there is nothing else to choose: what they ask for is what
    a user needs.
    """
    source = rattler.Channel(place)
    names = await gateway.names([source], platforms)
    found = await gateway.query([source], platforms, specs=[name.normalized for name in names], recursive=False)
    return _greatest(words for records in found for record in records for words in record.depends)


def _greatest(asked: Iterable[str]) -> dict[str, str]:
    """Return the greatest lower bound for each virtual package that occurs in `asked`."""
    greatest: dict[str, str] = {}
    for words in asked:
        for name, version in _LEAST.findall(words):
            greatest[name] = max(version, greatest.get(name, "0"), key=Version)
    return greatest


def _virtual_packages(spec: Spec, asked: Mapping[str, str]) -> list[rattler.GenericVirtualPackage]:
    """Return what the solver shall take a user's machine to have."""
    promised = dict(PROMISED[spec.platform])
    if spec.accelerator is Accelerator.CUDA:
        promised["__cuda"] = PROMISED_CUDA
    for name, version in asked.items():
        if name in promised:
            promised[name] = max(version, promised[name], key=Version)
    return [
        rattler.GenericVirtualPackage(rattler.PackageName(name), rattler.Version(version), BuildString("0"))
        for name, version in promised.items()
    ]


def _check_known(spec: Spec, also: Sequence[str], names: set[str], places: Sequence[str]) -> None:
    """Raise PackageUnknown for a name that no channel has."""
    for line in spec.lines:
        if line.name not in names:
            raise PackageUnknown(line.name, places, line.number)
    for name in also:
        if name not in names:
            raise PackageUnknown(name, places)


def _check_local(spec: Spec, records: Iterable[rattler.RepoDataRecord], base: str | None) -> None:
    """Raise PackageUnknown where a local:: line was answered by another channel."""
    urls = {_name(record): record.url for record in records}
    for line in spec.lines:
        if line.is_local and (base is None or not urls[line.name].startswith(base)):
            raise PackageUnknown(line.name, [LOCAL], line.number)


def _name(record: rattler.RepoDataRecord) -> str:
    """Return a record's package name."""
    return str(record.name.normalized)
