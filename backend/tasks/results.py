"""What tasks return: known to the workers that do them, and to the server that asks."""

from __future__ import annotations

from typing_extensions import TypedDict


class TokenCounts(TypedDict):
    """How many tokens the examples of a dataset have: in all, and in one of them."""

    tokens: int
    shortest: int
    longest: int
    average: float


class Merged(TypedDict):
    """The folder of the merged model, and its size in bytes."""

    path: str
    size: int


class Converted(TypedDict):
    """The folder of the GGUF file, and the sizes of what is in it by name, in bytes."""

    path: str
    files: dict[str, int]


class Pushed(TypedDict):
    """Where on the hub an adapter or a model is, and in which commit."""

    repository: str
    url: str
    commit: str
    private: bool
