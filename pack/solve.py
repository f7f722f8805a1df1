"""environment.yml, solved: the one place where exact packages are chosen."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import rattler
from packaging.version import Version
from rattler.exceptions import GatewayError, InvalidChannelError, SolverError
from rattler.package import BuildString

from launcher.platforms import Platform
from pack.errors import ChannelUnreachable, PackageUnknown, SpecUnsolvable
from pack.floor import greatest
from pack.lock import LOCAL_URL, Lock, name_of
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
# What none but a CUDA build may bring. Other packages have CUDA builds too, which a solver prefers for their higher
# build numbers, and they ask for no card: gigabytes of libraries would come with a torch that has no use for them.
_CUDA_ALONE = "cuda-version"


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
                constraints=[] if spec.accelerator is Accelerator.CUDA else [f"{_CUDA_ALONE} <0a0"],
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
    return Lock(spec.platform, spec.accelerator, lock_channels, tuple(sorted(records, key=name_of)), tuple(also))


async def _asked_of_machine(gateway: rattler.Gateway, place: str, platforms: list[rattler.Subdir]) -> dict[str, str]:
    """Return the most that packages of the channel built here, at `place`, ask of a machine.

    They are made from what pip and this machine have, so there is nothing else to choose: what they ask for is what
    a user needs.
    """
    source = rattler.Channel(place)
    names = await gateway.names([source], platforms)
    found = await gateway.query([source], platforms, specs=[name.normalized for name in names], recursive=False)
    return greatest(words for records in found for record in records for words in record.depends)


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
    """Raise PackageUnknown for the names that no channel has."""
    asked = dict.fromkeys(also) | {line.name: line.number for line in spec.lines}
    if unknown := {name: line for name, line in asked.items() if name not in names}:
        raise PackageUnknown(unknown, places)


def _check_local(spec: Spec, records: Iterable[rattler.RepoDataRecord], base: str | None) -> None:
    """Raise PackageUnknown where a local:: line was answered by another channel."""
    urls = {name_of(record): record.url for record in records}
    local = {line.name: line.number for line in spec.lines if line.is_local}
    if unknown := {name: line for name, line in local.items() if base is None or not urls[name].startswith(base)}:
        raise PackageUnknown(unknown, [LOCAL])
