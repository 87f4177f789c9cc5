"""The wall inside the room: what an application instance's runner and the pump say to each other.

On one side stands an `Instance` (asgi/instance.py): it knows one run of the user's application and nothing of the wire. On the
other side stands the pump, which gives each adopted connection a `Downstream`. Both run on the loop's thread and never block.

Sizes are those of `channel_layer.events.payload_size_bytes`: payload plus 64 bytes for each event. PROTOCOL.md, P1, P5.
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
    """What an adopted connection needs of its dispatcher."""

    budget: Budget
    counters: Counter[str]

    @property
    def post(self) -> Callable[[str, Packet], None]:
        """Sends one packet to a node, with all others of this turn of the loop."""

    def gather(self, downstream: Connection) -> None:
        """Flush this connection at the end of this turn of the loop: it has something to send."""

    def holds(self, downstream: Connection) -> bool:
        """True if this worker still owns the connection."""

    def forget(self, downstream: Connection) -> None:
        """The connection is over: what is left of its window goes back to the budget."""


class Downstream(Protocol):
    """One adopted connection's line to the wire. The instance calls; after `close`, never again."""

    @property
    def reply_channel(self) -> str:
        """`<node>!<number>` of the interface server's end: for logs, and for `channel_layer.send` from anywhere."""

    @property
    def has_credit(self) -> bool:
        """True while the interface server's window is open: `send()` of the application may return at once."""

    def send(self, event: Event, size_bytes: int) -> None:
        """One checked event towards the client, in order; leaves with all others of this turn of the loop.

        A body or message above 64 KiB must have been cut by the caller. Always taken; look at `has_credit` afterwards.
        """

    def consumed(self, size_bytes: int) -> None:
        """The application's `receive()` has returned so many bytes of events: credit for the client's side."""

    def request_body(self) -> None:
        """The application called `receive()` for the first time: sends the first credit where the client waits for 100."""

    def close(self, why: Close) -> None:
        """The instance is over. For HTTP with a complete response nothing is said; the client's side knows."""

    @property
    def key(self) -> tuple[str, int, int]:
        """Node, number and epoch."""

    @property
    def resume(self) -> Event | None:
        """For a WebSocket that another instance has left open: what that one left, `{"state": …}`. None: it is new."""

    resumable: bool
    """WebSocket: set by the instance when the application's accept asked for hand-off."""

    def hand_off(self) -> None:
        """Let somebody else own this open WebSocket. Everything was sent; `disconnect` (1012) is the answer."""

    def complete(self) -> None:
        """HTTP: the last event of the response was sent. The line is over for the wire; the instance may run on."""


class Instance(Protocol):
    """One run of the application for one connection. The pump calls; nothing here may raise."""

    @property
    def exchange(self) -> str:
        """What it answers, for logs: method, path and reply channel. Empty for a WebSocket."""

    def deliver(self, event: Event, size_bytes: int) -> None:
        """One event from the client, in order: the application's `receive()` returns it."""

    def resume(self) -> None:
        """There is room again: whoever waits in `send()` goes on."""

    def disconnect(self, code: int, reason: str) -> None:
        """The client has gone (or the connection was taken away): exactly one disconnect event.

        WebSocket: `send()` raises OSError. HTTP: what is sent is dropped.
        """

    def hand_off(self) -> bool:
        """The worker drains: no further event, and the cut when the application waits in `receive()` next.

        True: it will be handed off (by `Downstream.hand_off`). False: it is no WebSocket that asked for it, or not accepted yet, or it
        was asked before.
        """

    def end_event_stream(self) -> bool:
        """The worker drains, and has waited for long enough: end the response cleanly, if its client then goes on by itself.

        True: it was one, and has ended; the application learns that its client has gone. False: nothing was done.
        """


class ApplicationHost(Protocol):
    """Where the pump brings an adopted connection: starts the application for it."""

    @property
    def websockets(self) -> int:
        """How many WebSockets are in it."""

    @property
    def streams(self) -> int:
        """How many exchanges in it hold no place, as they wait for their client."""

    def free(self, kind: str) -> int:
        """How many more connections of `kind` (`http`, `websocket`) this worker can take now."""

    def taken(self) -> dict[str, bool]:
        """What there is a limited number of, as an operator calls it, and whether all of it is taken now."""

    def start(self, scope: Event, body: bytes, more_body: bool, downstream: Downstream) -> Instance:
        """Start one application instance. scope: as the interface server saw it; the room adds `asgi`, `extensions`, `state`."""
