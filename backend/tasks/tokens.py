"""Count a dataset's tokens with a model's own tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from backend.datasets.rows import read_examples
from backend.models.loading import load_tokenizer
from backend.models.tokens import learnt

if TYPE_CHECKING:
    from backend.tasks.results import TokenCounts


def count(*, model: str, dataset: str) -> TokenCounts:
    """Return how many tokens the examples have. Raises CannotWork, DatasetMissing, DatasetUnusable."""
    tokenizer = load_tokenizer(model)
    lengths = [len(learnt(tokenizer, example)) for example in read_examples(Path(dataset))]
    return {
        "tokens": sum(lengths),
        "shortest": min(lengths),
        "longest": max(lengths),
        "average": round(sum(lengths) / len(lengths), 1),
    }
