"""Make batches of rows of tokens. For workers: torch is imported here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NOT_LEARNT = -100  # as a label: what torch's cross entropy passes over


def batcher(padding: int | None) -> Callable[[Sequence[list[int]]], dict[str, Any]]:
    """Return what makes rows a batch of three tensors, rows × the longest row's tokens, as models take them.

    Shorter rows are filled up at their end with the token `padding` (None: any). What fills up is hidden by the mask
    and not learnt, while the same token inside a row is: of many a model it is the one that ends a text, which
    transformers' collator for language models would not teach it. The one for sequences would, from rows three times
    as large and in three times as long, a hundredth of a small model's step.
    """
    import torch

    filler = 0 if padding is None else padding

    def batch(rows: Sequence[list[int]]) -> dict[str, Any]:
        longest = max(len(row) for row in rows)
        tokens = torch.tensor([row + [filler] * (longest - len(row)) for row in rows])
        mask = torch.arange(longest) < torch.tensor([[len(row)] for row in rows])
        return {
            "input_ids": tokens,
            "attention_mask": mask.long(),
            "labels": tokens.where(mask, NOT_LEARNT),
        }

    return batch
