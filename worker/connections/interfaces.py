"""The boundary between application instances and the dispatcher, and between the dispatcher and its connections.

An `Instance` (asgi/instance.py) is one run of the user's application and knows nothing of Redis. The dispatcher gives each
adopted connection a `Downstream`. Both run on the event loop's thread and never block.

Sizes are those of `channel_layer.protocol.events.payload_size_bytes`: payload plus 64 bytes for each event. PROTOCOL.md, P1, P5.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Protocol, TypeVar

from channel_layer.protocol.events import Event
from channel_layer.protocol.flow_control import Budget
from channel_layer.protocol.packets import Close, Packet

Connection = TypeVar("Connection", contravariant=True)


class Registry(Protocol[Connection]):
    """The part of ConnectionRegistry that an adopted connection uses."""

    budget: Budget
    counters: Counter[str]

    @property
    def post(self) -> Callable[[str, Packet], None]:
        """Sends one packet to a node, with all others of this turn of the loop."""

    @property
    def post_long(self) -> Callable[[str, Packet], None]:
        """As `post`, for a `data` with a long body, which is not copied."""

    def gather(self, downstream: Connection) -> None:
        """Flush this connection at the end of this turn of the loop: it has something to send."""

    def remove(self, downstream: Connection) -> None:
        """Forget a connection that is over, and give the rest of its window back to the budget."""


class Downstream(Protocol):
    """An adopted connection, as its instance sees it. The instance makes no call after `close`."""

    @property
    def reply_channel(self) -> str:
        """`<node>!<number>` of the client's connection: for logs, and for `channel_layer.send` from anywhere."""

    @property
    def has_credit(self) -> bool:
        """True while the interface server's window is open: `send()` of the application may return at once."""

    def waits_for_credit(self) -> None:
        """Count a `send()` of the application that has to wait, since the client takes nothing at present."""

    def send(self, event: Event, size_bytes: int) -> bool:
        """Send one checked event to the client, in order, together with all others of this turn of the event loop.

        The caller must have cut a body or message above 64 KiB. The event is always accepted. Returns `has_credit`, as it is
        afterwards.
        """

    def consumed(self, size_bytes: int) -> None:
        """Give the client's side credit for so many bytes of events: the application's `receive()` has returned them."""

    def request_body(self) -> None:
        """Send the first credit, if the client waits for status 100: the application has called `receive()` for the first time."""

    def close(self, why: Close) -> None:
        """End the connection: its instance has ended. After a complete HTTP response nothing is sent: the client's side knows."""

    @property
    def key(self) -> tuple[str, int, int]:
        """Node, number and epoch."""

    @property
    def resume(self) -> Event | None:
        """`{"state": …}` from the previous instance of a WebSocket that was handed off. None: the connection is new."""

    resumable: bool
    """Set by the instance when the application's accept asked for hand-off (WebSocket only)."""

    def hand_off(self) -> None:
        """Give this open WebSocket to another worker, after everything was sent. The answer is `disconnect` (1012)."""

    def complete(self) -> None:
        """End the connection after the last event of an HTTP response. The instance may run on."""


class Instance(Protocol):
    """One run of the application for one connection. The dispatcher calls these methods; none may raise."""

    @property
    def kind(self) -> str:
        """`http` or `websocket`."""

    @property
    def request(self) -> str:
        """The HTTP request, for logs: method, path and reply channel. Empty for a WebSocket."""

    def deliver(self, event: Event, size_bytes: int) -> None:
        """Queue one event from the client, in order, for the application's `receive()`."""

    def resume(self) -> None:
        """Let waiting calls of `send()` go on: the connection has credit again."""

    def disconnect(self, code: int, reason: str) -> None:
        """Give the application exactly one disconnect event: the client has left, or the connection was taken away.

        After it, `send()` of a WebSocket raises OSError, and what an HTTP exchange sends is discarded.
        """

    def hand_off(self) -> bool:
        """Prepare for hand-off, as the worker drains: no further event is delivered.

        `Downstream.hand_off` follows when the application waits in `receive()` next. False: it is no WebSocket that asked
        for hand-off, or it is not accepted yet, or it was asked before.
        """

    def end_event_stream(self) -> bool:
        """End the response cleanly if it is an event stream, whose client then reconnects by itself.

        Called when the worker drains and has waited for long enough. True: the stream has ended, and the application gets its
        disconnect event. False: nothing was done.
        """


class ApplicationHost(Protocol):
    """Starts the application for each adopted connection that the dispatcher hands over."""

    @property
    def websocket_count(self) -> int:
        """The number of WebSockets that it runs."""

    @property
    def stream_count(self) -> int:
        """The number of exchanges that hold no place, as they wait for their client."""

    def free(self, kind: str, alone: bool = False) -> int:
        """The number of further connections of `kind` (`http`, `websocket`) that this worker can take now.

        alone: no other worker could take those that this one leaves.
        """

    def taken(self) -> dict[str, bool]:
        """Each limited resource, by the name that operators know, and whether all of it is taken now."""

    def start(self, scope: Event, body: bytes, more_body: bool, downstream: Downstream) -> Instance:
        """Start one application instance. scope: as the interface server made it; the host adds `asgi`, `extensions`, `state`."""
