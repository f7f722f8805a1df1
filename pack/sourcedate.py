"""When what is built was last changed: the time a build carries, so that whoever builds it again gets the same bytes.

https://reproducible-builds.org/docs/source-date-epoch/ is where the variable comes from.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from pack.errors import ProgramFailed, SpecInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECONDS = re.compile("[0-9]{1,12}")
_LAST = 253402300799  # the last second of the year 9999, beyond which a date has no form that all can read


def source_date(project: Path, environment: Mapping[str, str]) -> datetime | None:
    """Return SOURCE_DATE_EPOCH where it is set, else the time of a checkout's last commit; None where neither is.

    Raises SpecInvalid for a SOURCE_DATE_EPOCH that is no time, ProgramFailed where git refuses the checkout.
    """
    epoch = environment.get("SOURCE_DATE_EPOCH") or _last_commit(project)
    return _time(epoch) if epoch else None


def now() -> datetime:
    """Return the time of a build whose sources have none."""
    return datetime.now(UTC).replace(microsecond=0)


def _time(epoch: str) -> datetime:
    if not _SECONDS.fullmatch(epoch) or int(epoch) > _LAST:
        problem = f"it has to be a whole number of seconds since 1970, up to {_LAST}, and is {epoch[:40]!r}"
        raise SpecInvalid(problem, path=Path("SOURCE_DATE_EPOCH"))
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=int(epoch))


def _last_commit(project: Path) -> str:
    """Return the seconds of the last commit, empty where git is missing, or where `project` is no checkout.

    A folder inside the checkout of something else is none. Raises ProgramFailed where git refuses one that is.
    """
    if (git := shutil.which("git")) is None:
        return ""
    where = _ask(git, project, "rev-parse", "--show-prefix")
    if where.returncode and (project / ".git").exists():
        raise ProgramFailed(
            "git, asked when the sources were last changed,",
            where.returncode,
            where.stderr,
            "Do as it says above; or set SOURCE_DATE_EPOCH to the time, in seconds, that the build shall carry.",
        )
    if where.returncode or where.stdout.strip():
        return ""
    return _ask(git, project, "-c", "log.showSignature=false", "log", "-1", "--format=%ct").stdout.strip()


def _ask(git: str, project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([git, "-C", str(project), *words], capture_output=True, text=True, check=False)
