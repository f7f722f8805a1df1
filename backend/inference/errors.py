"""Why nothing answers."""

from __future__ import annotations

from backend.errors import RequestError


class ModelNotLoaded(RequestError):
    """No loaded model has this name."""

    code = "model-not-loaded"
    status = 404

    def __init__(self, name: str) -> None:
        super().__init__(f"No model {name!r} is loaded", "Load it with POST /api/inference/load.")
