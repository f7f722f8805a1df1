"""The one shape in which whatever went wrong is told: in answers, and in documents that are kept."""

from __future__ import annotations

from typing import Any

from typing_extensions import TypedDict


class Problem(TypedDict):
    """What is so, and one thing to do about it; `detail` is what of it a program could use, null if there is none."""

    code: str
    message: str
    remedy: str
    detail: Any
