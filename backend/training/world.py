"""The processes that train one adapter together, and how they agree. A process alone is a world of its own.

For workers: torch is imported here, where there are several.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class World:
    """One process among `size`: `rank` counts them all, `local_rank` those of one machine.

    `group` is gloo's: what is agreed on there is no work for a GPU.
    """

    rank: int = 0
    local_rank: int = 0
    size: int = 1
    group: Any = None

    @property
    def leads(self) -> bool:
        """Whether this is the process that tells, and that saves the adapter."""
        return self.rank == 0

    def share(self, value: Any) -> Any:
        """Return what the process that leads has; the others' own is forgotten."""
        if self.size == 1:
            return value
        import torch

        box = [value if self.leads else None]
        torch.distributed.broadcast_object_list(box, src=0, group=self.group)
        return box[0]

    def gather(self, value: Any) -> list[Any]:
        """Return what each process has, by rank."""
        if self.size == 1:
            return [value]
        import torch

        found: list[Any] = [None] * self.size
        torch.distributed.all_gather_object(found, value, group=self.group)
        return found

    def any(self, *answers: bool) -> list[bool]:
        """Return for each answer whether a process says yes: what one wants, all do at the same step."""
        if self.size == 1:
            return list(answers)
        import torch

        said = torch.tensor(answers, dtype=torch.uint8)
        torch.distributed.all_reduce(said, op=torch.distributed.ReduceOp.MAX, group=self.group)
        return [bool(answer) for answer in said]

    def wait(self) -> None:
        """Wait until every process has come here."""
        if self.size > 1:
            import torch

            torch.distributed.barrier(group=self.group)


ALONE = World()


def enter_world() -> World:
    """Return the world that the agent's environment describes, once all its processes are there."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return ALONE
    import torch

    local_rank = int(os.environ["LOCAL_RANK"])
    if torch.cuda.is_available():
        torch.cuda.set_device(local_rank)
        torch.distributed.init_process_group("nccl")
        group = torch.distributed.new_group(backend="gloo")
    else:
        # accelerate would number processors as it does GPUs, and torch then cannot restore a checkpoint onto "cpu:0".
        os.environ["ACCELERATE_TORCH_DEVICE"] = "cpu"
        torch.distributed.init_process_group("gloo")
        group = torch.distributed.group.WORLD
    return World(rank=int(os.environ["RANK"]), local_rank=local_rank, size=size, group=group)


def says_process_lost(error: Exception) -> bool:
    """Tell whether an error of torch's means that another process is not there any more."""
    import torch

    # gloo has no error of its own, but says where in its source it was: in what carries data between processes.
    return isinstance(error, torch.distributed.DistError) or "gloo/transport" in str(error)
