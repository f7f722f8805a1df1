"""Run conda-unpack with the slot's own interpreter, once, over pristine relocated entries."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from launcher.errors import BlockedBySystem, RelocationFailed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from launcher.host import Lock
    from launcher.platforms import Platform

# -I and -P would keep conda-unpack from the module beside it; -E, -s and -S keep out all else.
_FLAGS = ("-B", "-E", "-s", "-S")
_LAST_WORDS = 2000


def relocate(slot: Path, platform: Platform, environment: Mapping[str, str], lock: Lock) -> None:
    """Rewrite the build prefix inside the relocated entries to `slot`.

    conda-unpack holds the home's `lock` with us: should we be killed, nobody changes the home before it has ended.
    Raises RelocationFailed, or BlockedBySystem where the interpreter cannot be started.
    """
    python = slot / platform.python
    script = slot / platform.scripts / ("conda-unpack-script.py" if platform.is_windows else "conda-unpack")
    try:
        run = subprocess.run(
            [python, *_FLAGS, script],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            pass_fds=lock.descriptors,
            # Electron has no console to lend: without this flag Windows would open one.
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except OSError as error:
        raise BlockedBySystem(python, error.strerror or str(error)) from error
    if run.returncode:
        output = (run.stderr or run.stdout).decode("utf-8", "replace").strip()
        raise RelocationFailed(script, run.returncode, output[-_LAST_WORDS:])
