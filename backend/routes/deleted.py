"""What routes answer that delete one thing of many."""

from typing import Literal

from typing_extensions import TypedDict


class Deleted(TypedDict):
    """What had this id is gone."""

    id: str
    status: Literal["deleted"]
