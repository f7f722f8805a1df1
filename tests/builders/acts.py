"""Acts of a build that do nothing but note that they were asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from launcher.platforms import Platform
from pack.pipeline import Act
from pack.spec import ACCELERATORS, LOCAL, Spec
from pack.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pack.pipeline import Deed

HERE = Platform.current()


def workspace(platform: Platform = HERE, channel: str = LOCAL) -> Workspace:
    """Return a workspace in which nothing is done."""
    spec = Spec(platform=platform, accelerator=ACCELERATORS[platform][0], channels=(), lines=())
    return Workspace(project=Path("/nowhere"), spec=spec, channel=channel, locked=False, level=1, part_size=1)


def deeds(did: list[Act], failing: Mapping[Act, BaseException] | None = None) -> dict[Act, Deed]:
    """Return deeds that note that they were done, and fail where they are asked to."""

    def deed(act: Act) -> Deed:
        def do(_: object, __: object) -> None:
            did.append(act)
            if failing and act in failing:
                raise failing[act]

        return do

    return {act: deed(act) for act in Act}
