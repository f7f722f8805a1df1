"""The exact packages of one platform and accelerator: solved once, written in rattler's lock format, read back."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import rattler
from rattler.exceptions import InvalidChannelError, ParseCondaLockError

from pack.errors import ChannelUnreachable, LockStale, PackageUnknown
from pack.floor import least_of
from pack.records import public_address
from pack.spec import LEAST_DRIVER, LOCAL, Accelerator, Spec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from launcher.platforms import Platform

# How a lock names a channel that was built here: by no folder, so that the lock is the same wherever it was built.
LOCAL_URL = f"{LOCAL}:/"

_ENVIRONMENT = "default"
_HEADER = """\
# The {count} exact packages of the engine for {platform} with {accelerator}. Written by nox -s lock; do not edit.
# They ask at least for {least}.
# Our own backend is not among them: each build takes it as it then is, if these packages satisfy it.
"""


@dataclass(frozen=True)
class Lock:
    """What will be installed: `records` from `channels`, in the solver's order."""

    platform: Platform
    accelerator: Accelerator
    channels: tuple[str, ...]
    """As the lock names them; a channel built here is "local:/"."""
    records: tuple[rattler.RepoDataRecord, ...]
    also: tuple[str, ...] = ()
    """Packages among them that are made from this checkout: the file does not hold them, reading it joins them."""

    @property
    def digest(self) -> str:
        """The SHA-256 over address and SHA-256 of every package, those of this checkout too."""
        rows = [
            [_portable(record, self.channels).url, record.sha256.hex() if record.sha256 else None]
            for record in self.records
        ]
        return hashlib.sha256(json.dumps(sorted(rows)).encode()).hexdigest()

    @property
    def least(self) -> dict[str, str]:
        """What the packages ask of a machine at least, by conda's names: {"__glibc": "2.28", "__cuda": "12"}."""
        asked = (words for record in self.records for words in (*record.depends, *record.constrains))
        return least_of(asked, self.accelerator)

    def write(self, path: Path) -> None:
        """Write the lock to `path`; the same packages are the same bytes, wherever and whenever they were solved."""
        platform = rattler.LockPlatform(
            self.platform, virtual_packages=[f"{name}={version}" for name, version in sorted(self.least.items())]
        )
        file = rattler.LockFile([platform])
        file.set_channels(_ENVIRONMENT, [rattler.LockChannel(channel) for channel in self.channels])
        held = [record for record in self.records if name_of(record) not in self.also]
        for record in held:
            file.add_conda_package(_ENVIRONMENT, platform, _portable(record, self.channels))
        path.parent.mkdir(parents=True, exist_ok=True)
        file.to_path(path)
        header = _HEADER.format(
            platform=self.platform,
            accelerator=self.accelerator,
            count=len(held),
            least=", ".join(_in_words(name, version) for name, version in sorted(self.least.items())) or "nothing",
        )
        path.write_text(header + path.read_text(encoding="utf-8"), encoding="utf-8", newline="\n")


def read_lock(
    path: Path,
    spec: Spec,
    *,
    channels: Sequence[str] | None = None,
    local: Path | None = None,
    also: Sequence[str] = (),
) -> Lock:
    """Read the lock at `path`, with its local packages in the folder `local`, from which the names in `also` join it.

    Raises LockStale unless it holds what `spec` and those need, all that these need in turn, and nothing else; also
    where it was solved from other channels, beside the one built here, than `channels`, if these are given.
    """
    if not path.exists():
        raise LockStale("there is no such lock", path)
    try:
        environment = rattler.LockFile.from_path(path).default_environment()
    except ParseCondaLockError as error:
        raise LockStale(f"it is not a lock ({error})", path) from error
    records = environment.conda_repodata_records().get(spec.platform) if environment else None
    if environment is None or not records:
        raise LockStale(f"it holds nothing for {spec.platform}", path)
    held_channels = tuple(str(channel) for channel in environment.channels())
    if channels is not None:
        _check_channels(held_channels, channels, path)
    by_name = {name_of(record): record for record in records}
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
    joined = _found_here(also, local)
    for record in (*records, *joined):
        if (need := _unmet(record, by_name)) is not None:
            raise LockStale(f"it does not hold {need}, which {name_of(record)} needs", path)
    wanted = {line.name for line in spec.lines} | {name for record in joined for name in _needs(record)}
    if idle := sorted(by_name.keys() - _reached(wanted, by_name)):
        raise LockStale(f"environment.yml has no line any more that needs {', '.join(idle)}, which it holds", path)
    together = tuple(sorted([*records, *joined], key=name_of))
    return Lock(spec.platform, spec.accelerator, held_channels, together, tuple(also))


def name_of(record: rattler.RepoDataRecord) -> str:
    """Return a record's package name."""
    return str(record.name.normalized)


def _check_channels(held: Iterable[str], asked: Sequence[str], path: Path) -> None:
    """Raise LockStale unless the channels `held`, but for the one built here, are those that are `asked`.

    What only lets a person in, a password or a token, makes no other channel. Raises ChannelUnreachable for what is
    the name of none.
    """
    solved_from = [public_address(address) for address in held if address != LOCAL_URL]
    try:
        wanted = [public_address(rattler.Channel(channel).base_url) for channel in asked]
    except InvalidChannelError as error:
        raise ChannelUnreachable(asked, str(error)) from error
    if solved_from != wanted:
        was, now = (", ".join(addresses) or LOCAL for addresses in (solved_from, wanted))
        raise LockStale(f"it was solved from {was}, and {now} is asked for", path)


def _unmet(record: rattler.RepoDataRecord, by_name: Mapping[str, rattler.RepoDataRecord]) -> str | None:
    """Return the first of a record's needs that no package of these meets; a machine meets those that begin with __."""
    for need, name in zip(record.depends, _needs(record), strict=True):
        if not name.startswith("__") and not (name in by_name and rattler.MatchSpec(need).matches(by_name[name])):
            return need
    return None


def _found_here(names: Sequence[str], local: Path | None) -> list[rattler.RepoDataRecord]:
    """Return the noarch packages of these names from the channel built in `local`; raise PackageUnknown."""
    found: dict[str, rattler.RepoDataRecord] = {}
    if local is not None and (index := local / "noarch" / "repodata.json").exists():
        channel = rattler.Channel(local.resolve().as_uri())
        with rattler.SparseRepoData(channel, "noarch", index) as listed:
            found = {name_of(record): record for name in names for record in listed.load_records(name)}
    if unknown := dict.fromkeys(name for name in names if name not in found):
        raise PackageUnknown(unknown, [LOCAL])
    return [found[name] for name in names]


def _reached(names: Iterable[str], by_name: Mapping[str, rattler.RepoDataRecord]) -> set[str]:
    """Return the names of packages that these names need, one through the other."""
    reached: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in by_name and name not in reached:
            reached.add(name)
            waiting += _needs(by_name[name])
    return reached


def _needs(record: rattler.RepoDataRecord) -> list[str]:
    """Return the names of what a package depends on."""
    return [need.split()[0].rpartition("::")[2] for need in record.depends]


def _in_words(name: str, version: str) -> str:
    """Say what a virtual package stands for."""
    driver = LEAST_DRIVER.get(version.partition(".")[0])
    return {
        "__cuda": f"an NVIDIA driver for CUDA {version} ({driver} or later)",
        "__glibc": f"glibc {version}",
        "__osx": f"macOS {version}",
    }.get(name, f"{name} {version}")


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
