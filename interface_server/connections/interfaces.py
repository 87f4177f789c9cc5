"""The interface between the protocol handlers, which hold the clients' sockets, and the dispatcher, which talks to workers.

On one side is a `Client` (http/exchange.py, websocket/connection.py): it knows a socket and its protocol, and nothing of
Redis, workers or epochs. On the other side is the dispatcher, which gives each client an `Upstream`: it knows Redis and workers,
and nothing of sockets. Both run on the reactor thread, call each other directly, and never block.

Sizes are those of `channel_layer.protocol.events.payload_size_bytes`: payload plus 64 bytes for each event. PROTOCOL.md, P1, P5.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Protocol

from channel_layer.protocol.close_codes import ABNORMAL, INTERNAL_ERROR, NORMAL, SERVICE_RESTART, TRY_AGAIN_LATER
from channel_layer.protocol.events import Event
from channel_layer.protocol.scope import Scope
from interface_server.groups.interfaces import PushedMessage


class EndReason(Enum):
    """Why a connection has ended on the server's side; each protocol has its own form of it.

    HTTP, nothing sent yet: the status below. HTTP, in mid-response: abort, so that the client can tell.
    WebSocket, not accepted yet: the status below. WebSocket, open: the close code below.
    """

    FINISHED = ("the application returned without an answer", 500, NORMAL)
    FAILED = ("the application failed", 500, INTERNAL_ERROR)
    FULL = ("the queue is full", 503, TRY_AGAIN_LATER)  #: with Retry-After
    LATE = ("no worker was free in time", 503, TRY_AGAIN_LATER)  #: with Retry-After
    UNAVAILABLE = ("Redis does not take requests", 503, TRY_AGAIN_LATER)  #: with Retry-After
    DIED = ("the worker died", 502, SERVICE_RESTART)
    UNKNOWN = ("the outcome is unknown", 502, SERVICE_RESTART)
    STOPPING = ("the worker is stopping", 502, SERVICE_RESTART)
    PACKETS_LOST = ("messages within the server were lost", 502, SERVICE_RESTART)
    OUTAGE = ("Redis was unreachable for too long", 502, SERVICE_RESTART)

    def __init__(self, why: str, status: int, close_code: int) -> None:
        self.why = why
        self.status = status
        self.close_code = close_code


class Client(Protocol):
    """One client's side of one connection, called by the dispatcher. No method may raise."""

    @property
    def mid_message(self) -> bool:
        """True while a fragmented message to the client of an open WebSocket is incomplete."""

    @property
    def request(self) -> str:
        """HTTP: method and target, for the log. Empty for a WebSocket."""

    last_worker: str
    """The worker that had the last request of this connection of a client, or empty. The dispatcher sets it."""

    def adopted(self) -> None:
        """Start the timeout of the application's answer: a worker has taken the connection.

        Called again after each change of owner, and within `Backend.open` if the request is sent to a worker directly. Called for
        WebSockets, and for HTTP where there is a `response_timeout_s`.
        """

    def deliver(self, events: Sequence[Event], size_bytes: int) -> None:
        """Write events of the current owner, in order: `http.response.start`, `websocket.send`, … as checked by the worker.

        When their bytes have left for the kernel (at once while the transport's buffer is below its high-water mark),
        call `upstream.delivered(size_bytes)`; sizes may be added up. Until then the application waits in `send()`.
        """

    def push(self, pushed: PushedMessage) -> None:
        """Write an event that third parties sent: a message of a WebSocket, or bytes of an event stream. Drop and count any other.

        Such events that the client has not taken are bounded in bytes and in time; beyond either bound: close 1013, or abort.
        """

    def end(self, end_reason: EndReason) -> None:
        """End the connection; `upstream` must not be used again."""

    def resume(self) -> None:
        """Resume reading the socket: there is credit again after `forward` returned False."""

    def on_body_requested(self) -> None:
        """Send `100 Continue` if the client waits for it: the application asked for the body. Called at most once."""


class Upstream(Protocol):
    """One connection's way to its worker, called by the client; never after `leave` or `Client.end`."""

    @property
    def channel(self) -> str:
        """The reply channel of this connection, `<node>!<number>`: its name in logs and for `channel_layer.send`."""

    @property
    def owned(self) -> bool:
        """True while a worker owns it. While none does, nothing may be started for a client that is gone (P3).

        So a protocol handler that does not read its socket, and would not notice its end, checks for it.
        """

    @property
    def may_be_sent_again(self) -> bool:
        """True if the client may be told to try again: ends.py."""

    def forward(self, event: Event, size_bytes: int) -> bool:
        """Send one event of the client, in order: `http.request` with the next part of the body, or `websocket.receive`.

        It is always taken. Returns False if the credit is used up: stop reading the socket until `Client.resume`.
        """

    def delivered(self, size_bytes: int) -> None:
        """Return credit for the application's `send()`: `size_bytes` of delivered events have left for the kernel."""

    def leave(self, code: int = ABNORMAL, reason: str = "") -> None:
        """End the client's side: the client left, the close handshake ended, or the server closed it.

        The application gets `http.disconnect`, or `websocket.disconnect` with this code and reason. While the connection is
        queued it is withdrawn, and never started (P3). After an open WebSocket was closed in good order (any code but 1006) the
        next owner first receives the waiting events, and then the disconnect.
        """

    def event_stream_began(self) -> None:
        """Let messages of groups and third parties through: the response is an event stream, and its start is written."""

    def complete(self) -> None:
        """Remove the connection, without a packet to the worker: the HTTP response is complete."""


class Backend(Protocol):
    """Takes new connections from protocol handlers: the dispatcher."""

    @property
    def ready(self) -> bool:
        """True while Redis answers and the server does not drain; otherwise `/-/health/ready` answers 503."""

    def open(
        self, client: Client, scope: Scope, body: bytes, more_body: bool, *, expect_continue: bool = False
    ) -> Upstream:
        """Queue one connection for the workers, with the first part of its body (at most 64 KiB, free of credit).

        scope: ASGI's, without `asgi`, `extensions` and `state`, which the worker adds; headers as a list of (name, value).
        `scope.event["type"]` is `http` or `websocket`. The outcome comes later, by `Client.deliver` or `Client.end`.
        """
