"""What base models are called: by the full path of a folder, or by an id of the hub."""

from __future__ import annotations

import re
from pathlib import Path

# As the hub names them: no dots in front, so that no name leads out of its cache.
HUB_ID = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}(/[A-Za-z0-9_][A-Za-z0-9_.-]{0,95})?$"


def is_folder(model: str) -> bool:
    """Tell a model's folder from a hub id: a folder is named by its full path."""
    return Path(model).is_absolute()


def model_name(text: str) -> str:
    """Return a text that can be a model's name. Raises ValueError."""
    if not is_folder(text) and not re.fullmatch(HUB_ID, text):
        raise ValueError("give a folder by its full path, or a hub id such as owner/name")
    return text
