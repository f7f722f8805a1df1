"""The records of packages in a prefix (`conda-meta/*.json`): read, and made plain for other machines.

https://github.com/conda/schemas/blob/main/prefix-record-1.schema.json describes them.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import rattler

from pack.spec import LOCAL

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

FOLDER = "conda-meta/"
HISTORY = f"{FOLDER}history"
# rattler marks a prefix as a place that backups may leave out (the Cache Directory Tagging Specification).
CACHE_TAG = "CACHEDIR.TAG"
# When and where it was installed, and who asked for it: true of this machine alone.
_OF_THIS_MACHINE = frozenset(
    {
        *("timestamp", "indexed_timestamp", "requested_spec", "requested_specs"),
        *("extracted_package_dir", "package_tarball_full_path", "link"),
    }
)
_CUDA_BUILD = re.compile(r"cuda(\d\d)\d")
_TOKEN = re.compile("/t/[^/]+")  # how conda writes a channel's secret into its address


def records(prefix: Path) -> list[dict[str, Any]]:
    """Return the records of the packages in `prefix`, by name."""
    found = [json.loads(path.read_bytes()) for path in (prefix / FOLDER).glob("*.json")]
    return sorted(found, key=lambda record: str(record["name"]))


def rows(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what a record says of each path of its package: digests, placeholders, kinds."""
    return list(record.get("paths_data", {}).get("paths", ()))


def owners(prefix: Path) -> dict[str, str]:
    """Return which package brought each path of `prefix`, its own record included."""
    found = {}
    for path in (prefix / FOLDER).glob("*.json"):
        record = json.loads(path.read_bytes())
        found[f"{FOLDER}{path.name}"] = record["name"]
        found |= dict.fromkeys(record["files"], record["name"])
    return found


def cuda_of(packages: Iterable[Mapping[str, Any]]) -> str | None:
    """Return the major version of the CUDA that pytorch is built for, going by its build string: "13" of cuda132_…."""
    builds = (str(record["build"]) for record in packages if record["name"] == "pytorch")
    return next((match[1] for build in builds if (match := _CUDA_BUILD.match(build))), None)


def placeholders(prefix: Path) -> dict[str, tuple[bytes, ...]]:
    """Return the placeholders that each package's files hold where they are not yet installed, by package."""
    return {
        record["name"]: tuple(
            sorted({row["prefix_placeholder"].encode() for row in rows(record) if row.get("prefix_placeholder")})
        )
        for record in records(prefix)
    }


def digests(prefix: Path) -> dict[str, str]:
    """Return the sha256 of each file that was installed as its package brought it, as the package says it."""
    return {
        row["_path"]: row["sha256"]
        for record in records(prefix)
        for row in rows(record)
        if row.get("sha256") and not row.get("prefix_placeholder")
    }


def files_of(prefix: Path) -> set[str]:
    """Return the paths that packages brought as files: neither as links nor as folders."""
    return {row["_path"] for record in records(prefix) for row in rows(record) if row.get("path_type") == "hardlink"}


def plain_record(record: Mapping[str, Any], channel: str) -> bytes:
    """Return a record without times, folders and secrets of this machine; `channel` is as `channel_of` takes it."""
    plain = {key: value for key, value in record.items() if key not in _OF_THIS_MACHINE}
    address, channel = str(plain.get("url", "")), channel_of(record, channel)
    is_public = address.startswith("https:")
    plain["url"] = public_address(address) if is_public else f"{channel}/{plain['subdir']}/{plain['fn']}"
    plain["channel"] = channel
    plain["files"] = sorted(plain["files"])
    paths = [_plain_row(row) for row in rows(record)]
    plain["paths_data"] = {**plain.get("paths_data", {}), "paths": sorted(paths, key=lambda row: str(row["_path"]))}
    return json.dumps(plain, indent=1, sort_keys=True).encode() + b"\n"


def _plain_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row without the hash and the size of a file as installed here, which say how long "here" is spelt."""
    of_here = {"sha256_in_prefix", *(["size_in_bytes"] if row.get("prefix_placeholder") else [])}
    return {key: value for key, value in row.items() if key not in of_here}


def channel_of(record: Mapping[str, Any], channel: str) -> str:
    """Return the public name of the channel that a package came from.

    That is `channel`, the public name of the one that was asked for, or LOCAL for what was made on this machine.
    """
    address = public_address(str(record.get("url", "")))
    return channel if address.startswith(("https:", f"{channel.rstrip('/')}/")) else LOCAL


def public_name(channel: str) -> str:
    """Return what a channel is called where others read it: without secrets, LOCAL for a folder of this machine."""
    return LOCAL if rattler.Channel(channel).base_url.startswith("file:") else public_address(channel)


def public_address(address: str) -> str:
    """Return a channel's or a package's address without user, password and token; names of channels stay."""
    parts = urlsplit(address)
    if not parts.netloc:
        return address
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], _TOKEN.sub("", parts.path, count=1), "", ""))
