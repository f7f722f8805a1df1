"""What a dataset holds, in numbers and by example."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from backend.datasets.rows import as_text, read_examples

if TYPE_CHECKING:
    from pathlib import Path

PREVIEW_CHARACTERS = 2000


@dataclass(frozen=True, kw_only=True)
class Extent:
    """How many examples there are, and how many characters the longest has."""

    examples: int
    longest: int


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """Lengths in characters; `conversations` counts examples that are messages; `duplicates` all but the first."""

    num_samples: int
    conversations: int
    duplicates: int
    shortest: int
    longest: int
    average: float

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Statistics:
        """Return the statistics that a record holds."""
        return cls(**values)

    @property
    def extent(self) -> Extent:
        """How much the dataset holds."""
        return Extent(examples=self.num_samples, longest=self.longest)


def measure(path: Path) -> Statistics:
    """Read a whole dataset as a training would. Raises DatasetMissing, DatasetUnusable."""
    lengths: list[int] = []
    seen: set[int] = set()
    conversations = 0
    for example in read_examples(path):
        text = as_text(example)
        lengths.append(len(text))
        seen.add(hash(text))
        conversations += not isinstance(example, str)
    return Statistics(
        num_samples=len(lengths),
        conversations=conversations,
        duplicates=len(lengths) - len(seen),
        shortest=min(lengths),
        longest=max(lengths),
        average=round(sum(lengths) / len(lengths), 1),
    )


def extent(path: Path) -> Extent:
    """Return how much a dataset holds, without keeping any of it. Raises DatasetMissing, DatasetUnusable."""
    count = longest = 0
    for example in read_examples(path):
        count += 1
        longest = max(longest, len(as_text(example)))
    return Extent(examples=count, longest=longest)


def preview(path: Path, start: int, count: int) -> list[str]:
    """Return the texts of some examples, each cut to PREVIEW_CHARACTERS."""
    return [as_text(example)[:PREVIEW_CHARACTERS] for example in islice(read_examples(path), start, start + count)]
