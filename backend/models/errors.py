"""Why a model cannot be found, trusted or removed."""

from __future__ import annotations

from backend.errors import RequestError


class ModelMissing(RequestError):
    """No model is where the request says."""

    code = "model-missing"

    def __init__(self, model: str, reason: str) -> None:
        super().__init__(
            f"{model} is no model: {reason}",
            "Give the full path of a folder that holds a model's config.json, or a hub id such as owner/name.",
        )


class ModelNotFound(RequestError):
    """Neither this machine nor the hub has the model, as far as anybody can say."""

    code = "model-unknown"
    status = 404

    def __init__(self, model: str, *, online: bool) -> None:
        there = (
            "the hub has none of this name, or does not show it to this user" if online else "the hub is out of reach"
        )
        super().__init__(
            f"The model {model} is not on this machine, or not whole, and {there}",
            "Check its name." if online else "Connect to the network, or give the full path of a model's folder.",
        )


class ModelSizeUnknown(RequestError):
    """Nobody says how large the model is."""

    code = "model-size-unknown"

    def __init__(self, model: str) -> None:
        super().__init__(
            f"How large {model} is, the hub does not say",
            "Download it and ask again; or choose a model with safetensors, of which the hub knows the size.",
        )


class RevisionChanged(RequestError):
    """A model is not any more what its user looked at."""

    code = "revision-changed"
    status = 409

    def __init__(self, model: str, seen: str, current: str) -> None:
        super().__init__(
            f"The model {model} is at revision {current}, and what was looked at is {seen}",
            "Look at what it brings now, and consent to that.",
        )


class ModelInUse(RequestError):
    """A model cannot be removed while something works with it."""

    code = "model-in-use"
    status = 409

    def __init__(self, model: str, user: str) -> None:
        super().__init__(
            f"The model {model} is in use: {user}",
            "Wait until it is done, or end it (a job: delete it), and delete the model then.",
        )
