"""A model hub on this machine, and models as the hub's cache holds them; both as small as they can be."""

from __future__ import annotations

import json
import math
import struct
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass
class RunningHub:
    """A hub that answers every question alike; `asked` has the paths of the questions."""

    url: str
    asked: list[str] = field(default_factory=list)


@contextmanager
def running_hub(answer: Any) -> Iterator[RunningHub]:
    """Give a hub that answers with a JSON document, or with bytes."""
    content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            hub.asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    hub = RunningHub(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def model_folder(folder: Path, parameters: tuple[int, ...]) -> None:
    """Write a folder that looks like a Llama whose only weight has this shape."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"], "model_type": "llama"}))
    size = math.prod(parameters) * 4
    header = json.dumps({"w": {"dtype": "F32", "shape": parameters, "data_offsets": [0, size]}}).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(size))
