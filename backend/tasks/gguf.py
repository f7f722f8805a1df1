"""Turn an adapter into a GGUF file, by llama.cpp's own converter."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from backend.tasks.arriving import arriving
from backend.working import CannotWork

GGUF = "adapter.gguf"


def convert(*, converter: str, adapter: str, base: str, destination: str, modelfile: str | None) -> dict[str, Any]:
    """Write GGUF, and a Modelfile that puts it on the Ollama model `modelfile`, to a new folder; return its files.

    Raises CannotWork (conversion-failed).
    """
    target = Path(destination)
    with arriving(target) as partial:
        _write(converter, adapter, base, partial / GGUF)
        if modelfile is not None:
            (partial / "Modelfile").write_text(f"FROM {modelfile}\nADAPTER ./{GGUF}\n", encoding="utf-8")
    return {"path": str(target), "files": {path.name: path.stat().st_size for path in sorted(target.iterdir())}}


def _write(converter: str, adapter: str, base: str, file: Path) -> None:
    # By the runtime's interpreter: it has the torch and transformers that the converter imports.
    command = [sys.executable, converter, adapter, "--base", base, "--outfile", str(file)]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL
    )
    if done.returncode or not file.is_file():
        lines = (done.stderr or done.stdout).strip().splitlines() or ["it said nothing"]
        raise CannotWork(
            "conversion-failed",
            f"{converter} ended with status {done.returncode}: {lines[-1]}",
            "Update llama.cpp; whether it knows this model's architecture, its documentation says.",
        )
