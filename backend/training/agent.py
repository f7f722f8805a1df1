"""Several processes that train one adapter: `python -m backend.training.agent FOLDER ADAPTER PARENT`.

torch's elastic agent, which is torchrun's, starts `backend.training.worker` as often as FOLDER/plan.json says, and
watches. The first of them tells what a process alone would, on what is this process's stdout. The agent ends as the
first worker that failed did, and no worker outlives it. It restarts none: the queue of jobs resumes.

A machine that joins runs `python -m backend.training.agent --join HOST:PORT …` in the foreground instead; the plan and
the examples come to it from the first machine.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import signal
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from backend import host
from backend.clock import now
from backend.errors import BackendError
from backend.training.events import Event, Failed, Note, to_line
from backend.training.plan import TrainingPlan, split_endpoint
from backend.workers import interpreter_flags
from backend.working import when_asked_to_stop

if TYPE_CHECKING:
    from backend.training.rendezvous import Meeting

LOOPBACK = "127.0.0.1"
PEER_SECONDS = 5  # what the others get to end after one has failed: they cannot train on, nor save
ASKING_TO_STOP = {signal.SIGTERM, signal.SIGINT}


@dataclass(frozen=True, kw_only=True)
class Team:
    """The workers of this machine: where the machines meet, how many work here, and the arguments of each."""

    meeting: Meeting
    processes: int
    arguments: tuple[str, ...]


def main(arguments: list[str]) -> int:
    """Train with several processes; return the exit status."""
    _pass_on_what_asks_to_stop()
    team = _joined(arguments) if arguments[0] == "--join" else _first(*arguments)
    try:
        failures = _run(team)
    except BackendError as error:
        _tell(Failed(time=now(), code=error.code, message=error.message, remedy=error.remedy))
        return 1
    return _end_like(failures) if failures else 0


def _first(folder: str, adapter: str, parent: str) -> Team:
    """Return the team of the machine that has the job."""
    from backend.training.rendezvous import Meeting

    host.die_with(int(parent))
    when_asked_to_stop(_ask_workers_to_stop)
    plan = TrainingPlan.from_dict(json.loads(Path(folder, "plan.json").read_text(encoding="utf-8")))
    address, port = split_endpoint(plan.rdzv_endpoint) if plan.rdzv_endpoint else (LOOPBACK, 0)
    meeting = Meeting(host=address, port=port, id=plan.rdzv_id or Path(folder).name, nodes=plan.nnodes)
    if plan.nnodes > 1:
        message = (
            f"Waiting for {plan.nnodes - 1} more machines. On each, with a rank of its own: peft_engine -- "
            f"--join {plan.rdzv_endpoint} --rdzv-id {meeting.id} --node-rank 1 --nproc-per-node {plan.nproc_per_node}"
        )
        _tell(Note(time=now(), level="INFO", message=message))
    return Team(meeting=meeting, processes=plan.nproc_per_node, arguments=(folder, adapter))


def _joined(arguments: list[str]) -> Team:
    """Return the team of a machine that joins."""
    from backend.training.rendezvous import Meeting

    parser = argparse.ArgumentParser(prog="python -m backend.training.agent", allow_abbrev=False)
    parser.add_argument("--join", required=True, type=split_endpoint)
    parser.add_argument("--rdzv-id", required=True)
    parser.add_argument("--node-rank", required=True, type=int)
    parser.add_argument("--nproc-per-node", required=True, type=int)
    parser.add_argument("--folder", required=True)
    parser.add_argument("--model")
    joins = parser.parse_args(arguments)
    address, port = joins.join
    meeting = Meeting(host=address, port=port, id=joins.rdzv_id, node_rank=joins.node_rank)
    Path(joins.folder).mkdir(parents=True, exist_ok=True)
    model = (joins.model,) if joins.model else ()
    return Team(meeting=meeting, processes=joins.nproc_per_node, arguments=(joins.folder, "", *model))


def _run(team: Team) -> dict[int, Any]:
    """Run the workers to their end; return those that failed, by rank. Raises CannotWork."""
    from torch import distributed
    from torch.distributed.elastic.agent.server import WorkerSpec
    from torch.distributed.elastic.agent.server.local_elastic_agent import LocalElasticAgent
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs

    from backend.training.rendezvous import Rendezvous, interface_to, missing

    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # what failed says so itself
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // team.processes)))
    if interface := interface_to(team.meeting.host):
        os.environ.setdefault("GLOO_SOCKET_IFNAME", interface)
        os.environ.setdefault("NCCL_SOCKET_IFNAME", interface)
    folder, adapter, *more = team.arguments
    spec = WorkerSpec(
        role="trainer",
        local_world_size=team.processes,
        rdzv_handler=Rendezvous(team.meeting),
        entrypoint=sys.executable,
        args=(*interpreter_flags(), "-m", "backend.training.worker", folder, adapter, str(os.getpid()), *more),
        max_restarts=0,
    )
    agent = LocalElasticAgent(spec, DefaultLogsSpecs(log_dir=os.devnull), shutdown_timeout=PEER_SECONDS)
    try:
        failures: dict[int, Any] = agent.run().failures
    except distributed.DistError as error:
        raise missing(team.meeting) from error
    return failures


def _end_like(failures: dict[int, Any]) -> int:
    """Return the exit status of the worker that failed first, or be killed if one was: so it can go on later."""
    rank, first = min(failures.items(), key=lambda one: (not host.was_killed(one[1].exitcode), one[1].timestamp))
    if host.was_killed(first.exitcode):
        message = f"Process {rank} of the training (PID {first.pid}) was killed by the system"
        _tell(Note(time=now(), level="ERROR", message=message))
        os.kill(os.getpid(), signal.SIGKILL)
    return max(1, int(first.exitcode))


def _pass_on_what_asks_to_stop() -> None:
    """Ask the workers to stop when a signal asks this process.

    A thread waits for the signals, since torch keeps the main one in calls that no handler interrupts. They stay
    blocked in the workers, too, until these can hear them.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, ASKING_TO_STOP)

    def listen() -> None:
        while True:
            signal.sigwait(ASKING_TO_STOP)
            _ask_workers_to_stop()

    threading.Thread(target=listen, name="signals", daemon=True).start()


def _ask_workers_to_stop() -> None:
    """Ask each worker; end at once while there are none."""
    workers = psutil.Process().children()
    if not workers:
        os._exit(0)
    for worker in workers:
        with contextlib.suppress(psutil.NoSuchProcess):
            worker.terminate()


def _tell(event: Event) -> None:
    print(to_line(event), flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
