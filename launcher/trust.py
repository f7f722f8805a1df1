"""The digest of the manifest this executable was frozen for.

The launcher is signed, the manifest beside it is not, and no signature covers the files in `_internal/`: so the
digest is frozen into the executable itself, as the module `peft_engine_release` that pack's stub act writes.
Run from source there is none.
"""

from __future__ import annotations

from importlib import import_module

from launcher.value import Value


class Release(Value):
    """What this launcher was frozen as; `manifest` is the sha256 of manifest.json, None when run from source."""

    version: str
    manifest: str | None


def current_release() -> Release:
    """Return what this launcher was frozen as."""
    try:
        release = import_module("peft_engine_release")
    except ModuleNotFoundError:
        return Release("0+source", None)
    return Release(release.VERSION, release.MANIFEST_SHA256)
