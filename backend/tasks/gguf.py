"""Turn an adapter or a model into a GGUF file, by llama.cpp's own converters."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from backend.tasks.arriving import arriving
from backend.working import CannotWork

if TYPE_CHECKING:
    from backend.tasks.results import Converted

ADAPTER = "adapter.gguf"
MODEL = "model.gguf"


def convert_adapter(*, converter: str, adapter: str, base: str, destination: str, modelfile: str | None) -> Converted:
    """Write GGUF, and a Modelfile that puts it on the Ollama model `modelfile`, to a new folder; return its files.

    Raises CannotWork (conversion-failed).
    """
    words = None if modelfile is None else f"FROM {modelfile}\nADAPTER ./{ADAPTER}\n"
    return _converted([converter, adapter, "--base", base], ADAPTER, words, Path(destination))


def convert_model(*, converter: str, model: str, destination: str, modelfile: bool) -> Converted:
    """Write GGUF, and a Modelfile for it if that is wanted, to a new folder; return its files.

    Raises CannotWork (conversion-failed).
    """
    words = f"FROM ./{MODEL}\n" if modelfile else None
    return _converted([converter, model], MODEL, words, Path(destination))


def _converted(command: list[str], name: str, modelfile: str | None, target: Path) -> Converted:
    with arriving(target) as partial:
        _run(command, partial / name)
        if modelfile is not None:
            (partial / "Modelfile").write_text(modelfile, encoding="utf-8")
    return {"path": str(target), "files": {path.name: path.stat().st_size for path in sorted(target.iterdir())}}


def _run(command: list[str], file: Path) -> None:
    # By the runtime's interpreter: it has the torch and transformers that the converter imports.
    done = subprocess.run(
        [sys.executable, *command, "--outfile", str(file)],
        check=False,
        capture_output=True,
        text=True,
        errors="replace",
        stdin=subprocess.DEVNULL,
    )
    if done.returncode or not file.is_file():
        lines = (done.stderr or done.stdout).strip().splitlines() or ["it said nothing"]
        raise CannotWork(
            "conversion-failed",
            f"{command[0]} ended with status {done.returncode}: {lines[-1]}",
            "Update llama.cpp; whether it knows this model's architecture, its documentation says.",
        )
