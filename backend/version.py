"""The backend's version."""

from __future__ import annotations

from functools import cache


@cache
def version() -> str:
    """Return the installed package's version, or "0+source" for a checkout that nobody installed."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("peft-studio-backend")
    except PackageNotFoundError:
        return "0+source"
