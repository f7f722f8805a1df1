"""What this process was asked to do: command line and environment, read once, at the edge."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from backend.training.plan import RENDEZVOUS_ID, split_endpoint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8000
APP_ORIGIN = "peft-studio://app"
DEVELOPMENT_ORIGINS = ("http://localhost:5173", "http://127.0.0.1:5173")
TOKEN_VARIABLE = "PEFT_STUDIO_TOKEN"  # noqa: S105 - the name of a variable, no secret
ATTEMPT_VARIABLE = "PEFT_STUDIO_ATTEMPT"
GRACE_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class Joining:
    """Where machines meet, as HOST:PORT, under which id, and as what this one comes; `model` is its folder here."""

    endpoint: str
    id: str
    node_rank: int
    processes: int
    model: Path | None


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to run. `home` is the launcher's folder, None in development; `token` is what the environment gave.

    Without a token, one has to be made, unless `asks_token` is false. `joins` is another machine's training that this
    one takes part in, instead of serving.
    """

    host: str
    port: int
    home: Path | None
    data_dir: Path
    log_dir: Path
    token: str | None
    asks_token: bool
    json: bool
    until_eof: bool
    joins: Joining | None = None
    grace_seconds: float = GRACE_SECONDS

    @property
    def origins(self) -> frozenset[str]:
        """The pages that may call: the app's own, and in development Vite's server."""
        return frozenset((APP_ORIGIN,) if self.asks_token else (APP_ORIGIN, *DEVELOPMENT_ORIGINS))


def user_folder(instead: Path) -> Path:
    """Return the user's own folder, or `instead` where the system knows of none, as in a bare container."""
    try:
        return Path.home()
    except RuntimeError:
        return instead


def withdraw_attempt(environment: Mapping[str, str]) -> None:
    """Remove the launcher's note of this start: where it stays, the next start looks for damage."""
    if note := environment.get(ATTEMPT_VARIABLE):
        Path(note).unlink(missing_ok=True)


def read_settings(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Turn a command line and an environment into settings.

    Ends the process as argparse does where the command line is wrong (status 2) or asks for help.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.join is not None and options.rdzv_id is None:
        parser.error("--join needs --rdzv-id: the job's log says which")
    home = environment.get("PEFT_STUDIO_HOME_STATE")
    default = Path(home, "data") if home else user_folder(Path()) / ".peft-studio"
    data_dir: Path = (options.data_dir or default).absolute()
    return Settings(
        host=options.host,
        port=options.port,
        home=Path(home).absolute() if home else None,
        data_dir=data_dir,
        log_dir=Path(home, "logs").absolute() if home else data_dir / "logs",
        token=environment.get(TOKEN_VARIABLE) or None,
        asks_token=not options.no_token,
        json=options.json,
        until_eof=options.until_eof,
        joins=_joining(options),
    )


def _joining(options: argparse.Namespace) -> Joining | None:
    if options.join is None:
        return None
    return Joining(
        endpoint=options.join,
        id=options.rdzv_id,
        node_rank=options.node_rank,
        processes=options.nproc_per_node,
        model=options.model,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m backend",
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Serve PEFT Studio's engine: an HTTP API for hardware, models and real fine-tuning jobs.",
        epilog="""\
examples:
  python -m backend --no-token                     try it by hand: curl http://127.0.0.1:8000/api/health
  python -m backend --data-dir ~/studio            jobs, adapters and the token file go to ~/studio
  python -m backend --json --until-eof --port 8000 as the app runs it: events on stdout, ends with its parent
  python -m backend --join 10.0.0.5:29500 --rdzv-id 4f2a   take part in a training of the machine 10.0.0.5

token:
  Clients send "Authorization: Bearer TOKEN". The token is $PEFT_STUDIO_TOKEN, or a new one for each
  start, written to DATA-DIR/token. /api/health alone answers without it.

exit status:
  0 stopped when asked   2 wrong command line   60 ports taken   61 data folder not writable
  62 address not available   63 a module is missing   64 cannot join   130 Ctrl-C""",
    )
    parser.add_argument("--host", metavar="H", default=DEFAULT_HOST, help="address to listen at (%(default)s)")
    parser.add_argument(
        "--port",
        metavar="P",
        type=_port,
        default=DEFAULT_PORT,
        help="port to listen at (%(default)s); if it is taken, the first free one of 8001–8010; 0: any free one",
    )
    parser.add_argument(
        "--data-dir", metavar="D", type=_folder, help="where jobs and adapters are kept (~/.peft-studio)"
    )
    parser.add_argument("--json", action="store_true", help="write events to stdout, one JSON object a line")
    parser.add_argument("--until-eof", action="store_true", help="stop when stdin ends")
    parser.add_argument("--no-token", action="store_true", help="development: answer without a token, Vite's pages too")
    joining = parser.add_argument_group("take part in another machine's training, instead of serving")
    joining.add_argument("--join", metavar="HOST:PORT", type=_endpoint, help="where the machines of the training meet")
    joining.add_argument("--rdzv-id", metavar="ID", type=_rendezvous_id, help="which training: its log says so")
    joining.add_argument(
        "--node-rank", metavar="N", type=_count, default=1, help="which machine this is: 1 to the last (%(default)s)"
    )
    joining.add_argument(
        "--nproc-per-node", metavar="N", type=_count, default=1, help="processes here, one a GPU (%(default)s)"
    )
    joining.add_argument(
        "--model", metavar="D", type=_folder, help="the folder of the model here, if it is not the one of the job"
    )
    return parser


def _endpoint(text: str) -> str:
    try:
        split_endpoint(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def _rendezvous_id(text: str) -> str:
    if not re.fullmatch(RENDEZVOUS_ID, text):
        raise argparse.ArgumentTypeError(f"{text!r} is no id: letters, digits, dots, dashes and underscores")
    return text


def _count(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 1025:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to 1024")
    return int(text)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: choose one from 0 to 65535")
    return int(text)


def _folder(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("an empty name is no folder")
    return Path(text)
