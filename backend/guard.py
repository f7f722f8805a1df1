"""Who may call: Host, Origin and token are judged before any route runs, for HTTP and WebSocket alike.

The outermost layer of the app, so that refusals and the answers of every layer below carry CORS headers.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from backend.answers import answered
from backend.errors import Refused

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

OPEN_PATH = "/api/health"
PREFLIGHT_SECONDS = 600
POLICY_VIOLATION = 1008


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Whom to let in. A `token` of None lets in whoever comes from an allowed host and origin."""

    hosts: frozenset[str]
    origins: frozenset[str]
    token: str | None


@dataclass(frozen=True, kw_only=True)
class Call:
    """What the judgement looks at: headers are None where the client sent none."""

    method: str
    path: str
    host: str | None
    origin: str | None
    authorization: str | None


def local_hosts(port: int) -> frozenset[str]:
    """Return the Host headers that name this machine. Any other name may be a page's rebound DNS entry."""
    return frozenset({f"localhost:{port}", f"127.0.0.1:{port}"})


def judge(policy: Policy, call: Call) -> Refused | None:
    """Return why the call is refused, or None."""
    if call.host not in policy.hosts:
        return Refused(
            "host-not-allowed",
            403,
            f"This backend is not called {call.host or 'nothing'}",
            f"Call it {' or '.join(sorted(policy.hosts))}.",
        )
    if call.origin is not None and call.origin not in policy.origins:
        return Refused(
            "origin-not-allowed",
            403,
            f"Pages from {call.origin} may not call this backend",
            "Use the app's own window.",
        )
    if policy.token is None or call.path == OPEN_PATH or call.method == "OPTIONS":
        return None
    remedy = "Send the header `Authorization: Bearer TOKEN`, with the token that the backend was started with."
    if call.authorization is None:
        return Refused("token-missing", 401, "The request has no token", remedy)
    scheme, _, given = call.authorization.partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), policy.token.encode()):
        return Refused("token-wrong", 401, "The request's token is not this backend's", remedy)
    return None


class Guard:
    """Lets through what the policy allows, and tells pages of allowed origins that they may read the answer."""

    def __init__(self, app: ASGIApp, policy: Policy) -> None:
        self._app = app
        self._policy = policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Judge, then pass on or refuse."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        call = Call(
            method=scope.get("method", "GET"),
            path=scope["path"],
            host=headers.get(b"host"),
            origin=headers.get(b"origin"),
            authorization=headers.get(b"authorization"),
        )
        send = _with_cors(send, call.origin if call.origin in self._policy.origins else None)
        refused = judge(self._policy, call)
        if refused is not None:
            await _refuse(scope, send, refused)
        elif call.method == "OPTIONS" and b"access-control-request-method" in headers:
            await _answer(send, 200, PREFLIGHT_HEADERS, b"")
        else:
            await self._app(scope, receive, send)


PREFLIGHT_HEADERS = [
    (b"access-control-allow-methods", b"GET, POST, PUT, PATCH, DELETE, OPTIONS"),
    (b"access-control-allow-headers", b"authorization, content-type"),
    (b"access-control-max-age", str(PREFLIGHT_SECONDS).encode()),
]


def _with_cors(send: Send, origin: str | None) -> Send:
    """Return a `send` that adds the CORS headers of an allowed origin (None: of no page) to the answer."""
    added = [(b"vary", b"Origin")]
    if origin is not None:
        added.append((b"access-control-allow-origin", origin.encode("latin-1")))

    async def send_with_cors(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *added]
        await send(message)

    return send_with_cors


async def _refuse(scope: Scope, send: Send, refused: Refused) -> None:
    if scope["type"] == "websocket":
        # Closed before it is accepted: the server answers the handshake with 403, and there never is a WebSocket.
        await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": refused.message})
        return
    media_type, body = answered(refused, scope["path"])
    headers = [(b"content-type", media_type.encode())]
    if refused.status == HTTPStatus.UNAUTHORIZED:
        headers.append((b"www-authenticate", b"Bearer"))
    await _answer(send, refused.status, headers, body)


async def _answer(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})
