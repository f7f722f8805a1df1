"""Why an adapter cannot be merged or converted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backend.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class AdapterNotMergeable(RequestError):
    """The adapter does not change weights, so that there is nothing to work into them."""

    code = "adapter-not-mergeable"
    status = 409

    def __init__(self, adapter_id: str, method: str) -> None:
        super().__init__(
            f"Adapter {adapter_id} was trained by {method}, which leaves the model's weights alone",
            "Use it beside its model, or train a LoRA.",
        )


class ConverterMissing(RequestError):
    """llama.cpp's converter is not on this machine."""

    code = "converter-missing"
    status = 409

    def __init__(self, name: str, folders: Sequence[Path]) -> None:
        super().__init__(
            f"{name} of llama.cpp is needed, and is neither in {', '.join(map(str, folders))} nor on the PATH",
            "Clone https://github.com/ggml-org/llama.cpp, and start the backend with LLAMA_CPP set to that folder.",
        )
