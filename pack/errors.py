"""Errors of the build: exit status 40–59, the same shape as the launcher's."""

from __future__ import annotations

from launcher.errors import EngineError


class PackError(EngineError):
    """An error of the build, exit status 40–59."""
