"""Turn an adapter into a GGUF file, by llama.cpp's own converter."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from backend.working import CannotWork

if TYPE_CHECKING:
    from backend.tasks.results import Converted

GGUF = "adapter.gguf"


def convert(*, converter: str, adapter: str, base: str, destination: str, modelfile: str | None) -> Converted:
    """Write GGUF, and a Modelfile that puts it on the Ollama model `modelfile`, to a new folder; return its files.

    Raises CannotWork (conversion-failed).
    """
    target = Path(destination)
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    # By the runtime's interpreter: it has the torch and transformers that the converter imports.
    command = [sys.executable, converter, adapter, "--base", base, "--outfile", str(partial / GGUF)]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL
    )
    if done.returncode or not (partial / GGUF).is_file():
        shutil.rmtree(partial)
        lines = (done.stderr or done.stdout).strip().splitlines() or ["it said nothing"]
        raise CannotWork(
            "conversion-failed",
            f"{converter} ended with status {done.returncode}: {lines[-1]}",
            "Update llama.cpp; whether it knows this model's architecture, its documentation says.",
        )
    if modelfile is not None:
        (partial / "Modelfile").write_text(f"FROM {modelfile}\nADAPTER ./{GGUF}\n", encoding="utf-8")
    partial.rename(target)
    return {"path": str(target), "files": {path.name: path.stat().st_size for path in sorted(target.iterdir())}}
