"""The wizard's idea of a training, turned into ours: what it nests comes to the top, and its words become our words."""

from __future__ import annotations

from typing import Any

QUANTIZATIONS = {"int8": "8bit", "int4": "4bit", "nf4": "4bit", "8-bit": "8bit", "4-bit": "4bit", "": "none"}


def flatten(body: dict[str, Any]) -> dict[str, Any]:
    """Return a request's fields on one level, without those that are null.

    The wizard sends `config` beside `model` {model_id}, `dataset` {id, path} and `profile` {id}; inside `config`, what
    was chosen on the page of methods is under `peft`. What is more particular wins.
    """
    config = body.get("config")
    flat = _known(body) | (_known(config) if isinstance(config, dict) else {})
    peft = flat.pop("peft", None)
    if isinstance(peft, dict):
        chosen = _known(peft)
        if "algorithm" in chosen:
            chosen["method"] = chosen.pop("algorithm")
        flat |= chosen
    if isinstance(flat.get("model"), dict):
        flat["model"] = flat["model"].get("model_id") or flat["model"].get("path")
    if isinstance(flat.get("dataset"), dict):
        # The path may be nothing but a file name, as the browser knows it.
        flat["dataset"] = flat["dataset"].get("id") or flat["dataset"].get("path")
    if isinstance(flat.get("max_steps"), int) and flat["max_steps"] < 0:
        del flat["max_steps"]  # how trainers write that the epochs decide
    return _known(flat)


def method_name(value: Any) -> Any:
    """Return a method's name as we write it."""
    return value.strip().lower().replace("_", "-") if isinstance(value, str) else value


def quantization_name(value: Any) -> Any:
    """Return a quantization as we write it."""
    return QUANTIZATIONS.get(value.strip().lower(), value.strip().lower()) if isinstance(value, str) else value


def _known(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
