"""How an error is answered: as JSON in the API's one shape, or as a text where JSON would be taken for an answer."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backend.errors import BackendError

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
# The app takes whatever JSON these answer for what it asked for, whatever the status: at some its window goes blank.
AS_TEXT = re.compile(
    r"/api/(profiles|models/(popular/[^/]+|search)|config/smart-defaults|hardware/profile"
    r"|inference/(models/loaded|conversations|conversation/(?!save$)[^/]+)|logging/(logs|stats|debug-mode|diagnostic-report)"
    r"|offline/.+|settings|deployments)"
)


def is_text(path: str) -> bool:
    """Tell whether the errors of a path are texts."""
    return AS_TEXT.fullmatch(path) is not None


def answered(error: BackendError, path: str) -> tuple[str, bytes]:
    """Return the media type and the body that tell a client of `path` of an error."""
    if is_text(path):
        return TEXT, f"{error.message}. {error.remedy} ({error.code})".encode("utf-8", "backslashreplace")
    return JSON, json.dumps(error.to_dict()).encode()
