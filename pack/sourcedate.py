"""When what is built was last changed: the time a build carries, so that whoever builds it again gets the same bytes.

https://reproducible-builds.org/docs/source-date-epoch/ is where the variable comes from.
"""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def source_date(project: Path, environment: Mapping[str, str]) -> datetime | None:
    """Return SOURCE_DATE_EPOCH where it is set, else the time of a checkout's last commit; None where neither is."""
    epoch = environment.get("SOURCE_DATE_EPOCH") or _last_commit(project)
    return datetime.fromtimestamp(int(epoch), UTC) if epoch else None


def now() -> datetime:
    """Return the time of a build whose sources have none."""
    return datetime.now(UTC).replace(microsecond=0)


def _last_commit(project: Path) -> str:
    """Return the seconds of the last commit, empty where git is missing or knows of none."""
    if (git := shutil.which("git")) is None:
        return ""
    ask = [git, "-C", str(project), "log", "-1", "--format=%ct"]
    return subprocess.run(ask, capture_output=True, text=True, check=False).stdout.strip()
