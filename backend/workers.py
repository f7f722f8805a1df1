"""Start workers: child processes, for whatever imports torch and its friends or takes long."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING

import backend
from backend import host

if TYPE_CHECKING:
    from asyncio.subprocess import Process

STOP = b"stop\n"  # what asks a training to stop, on its stdin: Windows has no signal that a program could hear
LINE_BYTES = 16 * 1024 * 1024  # the longest line that a worker may tell
HUB_TOKEN_VARIABLE = "HF_TOKEN"  # noqa: S105 - the name of a variable, no secret; the hub's client reads it


async def spawn(module: str, *arguments: str, log: IO[bytes], listens: bool = False, asks_hub: bool = True) -> Process:
    """Start `python -m MODULE ARGUMENTS… PARENT`, in a process group of its own.

    PARENT is this process's PID. Its stdout is a pipe to us and its stderr goes to `log`; its stdin is empty, unless
    it `listens` to us. Its environment is ours; without the hub's token, unless it `asks_hub`.
    """
    environment = {name: value for name, value in os.environ.items() if asks_hub or name != HUB_TOKEN_VARIABLE}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *interpreter_flags(),
        *("-m", module, *arguments, str(os.getpid())),
        # -m looks for modules in the current folder first, which is how a checkout's backend is found.
        cwd=Path(backend.__file__).parents[1],
        stdin=asyncio.subprocess.PIPE if listens else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=log,
        env=environment,
        limit=LINE_BYTES,
        **host.own_group(),
    )


def interpreter_flags() -> list[str]:
    """Return the flags that have a child treat its environment and bytecode as this interpreter does."""
    flags = {
        "-B": sys.dont_write_bytecode,
        "-E": sys.flags.ignore_environment,
        "-s": sys.flags.no_user_site,
        "-P": sys.flags.safe_path,
    }
    return [flag for flag, given in flags.items() if given]
