"""One task, in a process of its own: `python -m backend.tasks.worker TASK PARENT`.

Its arguments are a JSON object on stdin. Its answer is one JSON line on what was stdout: {"result": …}, or
{"failed": …} with an error of the API's one shape. Before it there may be lines of {"told": …}: how far it is. An error
that it cannot explain leaves a traceback on stderr, and no answer.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from typing import Any

from backend.errors import BackendError
from backend.working import begin

# Each is a function of keyword arguments; its module may import torch and its friends.
TASKS = {
    "rows-of-parquet": "backend.tasks.parquet:write_rows",
    "merge": "backend.tasks.merge:merge",
    "count-tokens": "backend.tasks.tokens:count",
    "push": "backend.tasks.push:push",
    "convert-adapter": "backend.tasks.gguf:convert_adapter",
    "convert-model": "backend.tasks.gguf:convert_model",
    "keyring": "backend.tasks.keyring:act",
    "find-connectors": "backend.plugins.connector:found",
    "describe-connector": "backend.plugins.connector:described",
    "check-connector": "backend.plugins.connector:checked",
}
TELLING = {"push"}  # those that take a function `tell`, of keyword arguments, too


def main(arguments: list[str]) -> int:
    """Do the task; return the exit status."""
    task, parent = arguments
    stream = begin(int(parent))
    module, _, function = TASKS[task].partition(":")

    def tell(**told: Any) -> None:
        print(json.dumps({"told": told}), file=stream, flush=True)

    try:
        more = {"tell": tell} if task in TELLING else {}
        answer = {"result": getattr(import_module(module), function)(**json.load(sys.stdin), **more)}
    except BackendError as error:
        answer = {"failed": error.to_dict()}
    print(json.dumps(answer), file=stream, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
