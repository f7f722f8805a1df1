"""Where the machines of one training meet: a store at an address of the first machine, and at no other of its.

For the agent: torch is imported here. torch's own rendezvous does the same, but listens on every address that the
machine has, and whoever reaches the store can run code in the training (torch's collectives unpickle).
"""

from __future__ import annotations

import datetime as dt
import socket
from dataclasses import dataclass

import psutil
from torch import distributed
from torch.distributed.elastic.rendezvous import RendezvousHandler, RendezvousInfo, RendezvousStoreInfo

from backend.working import CannotWork

MEETING_SECONDS = 900
NODES = "nodes"


@dataclass(frozen=True, kw_only=True)
class Meeting:
    """Where to meet and as whom. `port` of 0: any, which only a machine alone can have; `nodes` of None: ask the first.

    `id` keeps apart what happens to meet at the same address.
    """

    host: str
    port: int
    id: str
    node_rank: int = 0
    nodes: int | None = None


class Rendezvous(RendezvousHandler):  # type: ignore[misc]  # torch has no stubs
    """A meeting of as many machines as the first one says, whose ranks are given."""

    def __init__(self, meeting: Meeting) -> None:
        self._meeting = meeting

    @property
    def use_agent_store(self) -> bool:
        """Have the workers use this store too: one port is all that has to be known."""
        return True

    def next_rendezvous(self) -> RendezvousInfo:
        """Return the store, once this machine has reached it. Raises CannotWork."""
        meeting = self._meeting
        server = _listen(meeting) if meeting.node_rank == 0 else None
        port: int = server.getsockname()[1] if server else meeting.port
        try:
            self._store = distributed.TCPStore(
                meeting.host,
                port,
                is_master=server is not None,
                timeout=dt.timedelta(seconds=MEETING_SECONDS),
                wait_for_workers=False,
                master_listen_fd=server.detach() if server else None,
            )
            store = distributed.PrefixStore(meeting.id, self._store)
            nodes = _count(store, meeting)
        except distributed.DistError as error:
            raise missing(meeting) from error
        return RendezvousInfo(store, meeting.node_rank, nodes, RendezvousStoreInfo(meeting.host, port))

    def get_backend(self) -> str:
        """Return the name of this kind of rendezvous."""
        return "peft-studio"

    def get_run_id(self) -> str:
        """Return what keeps this training apart from others."""
        return self._meeting.id

    def is_closed(self) -> bool:
        """Machines never join late, so there is nothing to close."""
        return False

    def set_closed(self) -> None:
        """There is nothing to close."""

    def num_nodes_waiting(self) -> int:
        """Return how many machines would like to join: never any."""
        return 0

    def shutdown(self) -> bool:
        """Leave nothing behind: the store ends with this process."""
        return True


def missing(meeting: Meeting) -> CannotWork:
    """Return the error that not every machine came."""
    where = f"{meeting.host}, port {meeting.port}"
    return CannotWork(
        "machines-missing",
        f"Not every machine of the training {meeting.id} has come to {where} within {MEETING_SECONDS // 60} minutes",
        "See that each one runs with the same id and a rank of its own, and that no firewall is between them.",
    )


def interface_to(host: str) -> str | None:
    """Return the network interface by which this machine reaches an address, or None where it cannot tell.

    gloo and NCCL would take the one that the machine's own name leads to, which often is no other machine's to reach.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:  # connecting it sends nothing
        try:
            probe.connect((host, 9))
        except OSError:
            return None
        ours = probe.getsockname()[0]
    addresses = psutil.net_if_addrs().items()
    return next((name for name, found in addresses if any(one.address == ours for one in found)), None)


def _listen(meeting: Meeting) -> socket.socket:
    try:
        return socket.create_server((meeting.host, meeting.port))
    except OSError as error:
        message = f"This machine cannot listen at {meeting.host}, port {meeting.port}: {error.strerror or error}"
        remedy = "Give an address of this machine that the others reach, and a port that is free."
        raise CannotWork("rendezvous-not-possible", message, remedy) from error


def _count(store: distributed.Store, meeting: Meeting) -> int:
    """Return how many machines meet; the first one says so to the others. Raises CannotWork for a rank that is not."""
    if meeting.node_rank == 0:
        store.set(NODES, str(meeting.nodes))
    nodes = int(store.get(NODES))
    if meeting.node_rank >= nodes or store.add(f"rank-{meeting.node_rank}", 1) > 1:
        message = f"Rank {meeting.node_rank} is not to be had: the training {meeting.id} has {nodes} machines"
        raise CannotWork("node-rank-taken", message, f"Give each one a rank of its own, from 1 to {nodes - 1}.")
    return nodes
