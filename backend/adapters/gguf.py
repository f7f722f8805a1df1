"""llama.cpp's converters, which make GGUF files for Ollama and its like: programs that are there, or are not."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from backend.adapters.errors import ConverterMissing

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER_VARIABLE = "LLAMA_CPP"
ADAPTER_CONVERTER = "convert_lora_to_gguf.py"
MODEL_CONVERTER = "convert_hf_to_gguf.py"


def find_converter(name: str, environment: Mapping[str, str], home: Path) -> Path:
    """Return one of llama.cpp's converters: in the folder that LLAMA_CPP names, in the home, or on the PATH.

    Raises ConverterMissing.
    """
    folders = [Path(given)] if (given := environment.get(FOLDER_VARIABLE)) else [home / "llama.cpp"]
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    if on_path := shutil.which(name, path=environment.get("PATH")):
        return Path(on_path)
    raise ConverterMissing(name, folders)
