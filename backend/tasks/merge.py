"""Merge an adapter into its base model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from backend.models.loading import load_model, load_tokenizer
from backend.tasks.arriving import arriving
from backend.working import CannotWork, first_line

if TYPE_CHECKING:
    from backend.tasks.results import Merged

MODELFILE = "FROM .\n"  # Ollama reads a folder of safetensors


def merge(*, base: str, adapter: str, destination: str, modelfile: bool) -> Merged:
    """Write the base model with the adapter worked into its weights to a new folder; return how large it is.

    With `modelfile`, the folder is ready for `ollama create NAME -f Modelfile`. Raises CannotWork.
    """
    import peft
    import torch

    target = Path(destination)
    tokenizer = load_tokenizer(base)
    # Sums of small differences need the full precision; they are saved in that of the model.
    model = load_model(base, dtype="auto")
    precision = model.dtype
    try:
        adapted = peft.PeftModel.from_pretrained(model.to(torch.float32), adapter, local_files_only=True)
    except (OSError, ValueError, RuntimeError) as error:
        message = f"The adapter {adapter} cannot be put on {base}: {first_line(error)}"
        raise CannotWork("adapter-not-loaded", message, "Choose an adapter that was trained on this model.") from error
    merged = adapted.merge_and_unload(safe_merge=True).to(precision)
    with arriving(target) as partial:
        merged.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        if modelfile:
            (partial / "Modelfile").write_text(MODELFILE, encoding="utf-8")
    return {"path": str(target), "size": sum(path.stat().st_size for path in target.iterdir())}
