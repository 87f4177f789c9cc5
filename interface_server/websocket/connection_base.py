"""What every part of a WebSocket knows of it, and the ways in which it ends.

A socket is put together from three parts that share these slots: `reader.py` (what the client says),
`writer.py` (what is said to it) and `connection.py` (the handshake, the pump's calls, the deadlines).
One object, and no dictionary in it: there may be a hundred thousand of them, idle.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from autobahn.websocket.compress import PerMessageDeflate

from channel_layer.process.rate_limited_log import RateLimitedLog
from channel_layer.protocol.close_codes import ABNORMAL, INTERNAL_ERROR, SERVICE_RESTART, TRY_AGAIN_LATER
from interface_server.connections.interfaces import Upstream
from interface_server.http.response import ResponseEncoder
from interface_server.http.server_context import ServerContext
from interface_server.transport.transport import Transport
from interface_server.websocket.frame_parser import Framing, Rack
from interface_server.websocket.frames import close_frame
from interface_server.websocket.handshake import Handshake
from interface_server.websocket.message_encoder import Composer
from interface_server.websocket.read_budget import ReadingTurns
from interface_server.websocket.state import State
from interface_server.websocket.timeouts import Watch

RETRY_AFTER = b"retry-after: 1\r\n"
LEAVING = "the server is stopping"

logger = logging.getLogger("towpath.interface")


class WebSockets:
    """What all WebSockets of one door share."""

    __slots__ = ("alive", "context", "encode_denial", "given_up", "rack", "turns", "unread", "watch")

    def __init__(self, context: ServerContext, encode_denial: Callable[[], ResponseEncoder]) -> None:
        """encode_denial: a new encoder, for a response with which an application refuses a handshake."""
        self.context = context
        self.encode_denial = encode_denial
        self.rack = Rack(context.settings.ws_size_bytes_max)
        self.watch = Watch(context.settings)
        self.turns = ReadingTurns(context.loop)
        self.given_up = RateLimitedLog()
        self.alive: set[Socket] = set()  #: from the upgrade until the transport is gone
        self.unread: set[Socket] = set()  #: those of them that are not read at present
        context.sweep.add(self.watch.sweep)
        context.sweep.add(self._look_after_the_unread)

    def close_all(self) -> None:
        """The server is stopping: close what is open, refuse what is not yet; each then has the usual time to answer."""
        for socket in tuple(self.alive):
            socket.evict()

    def _look_after_the_unread(self, _now: float) -> None:
        for socket in [each for each in self.unread if each.is_gone_unheard()]:
            socket._abort("hung_up")


class Socket:
    """The slots, and the endings."""

    __slots__ = (
        "_breathing",
        "_clear",
        "_composer",
        "_deflate",
        "_framing",
        "_given_up",
        "_handshake",
        "_held",
        "_pinged",
        "_pushed",
        "_reading_paused",
        "_shared",
        "_state",
        "_transport",
        "_undelivered",
        "_upstream",
        "_writing_paused",
    )

    def __init__(self, shared: WebSockets, transport: Transport) -> None:
        self._shared = shared
        self._transport = transport
        self._state = State.CONNECTING
        self._handshake: Handshake | None = None  # until it is answered
        self._upstream: Upstream | None = None  # until either side has said its last word
        self._deflate: PerMessageDeflate | None = None
        self._framing: Framing | None = None  # while the client is inside of a message
        self._held = b""  # read, and not yet parsed
        self._reading_paused = False
        self._breathing = False  # is that only for the others' sake, until the next turn of the loop?
        self._composer: Composer | None = None  # while the application is inside of a message; with deflate always
        self._writing_paused = False
        self._pushed = 0  # size of what groups and third parties sent since then
        self._undelivered = 0  # size of what the application sent since writing was paused
        # A whole frame may be written at once: open, not slow, not compressed, not inside a message.
        self._clear = False
        self._pinged = False
        self._given_up = False  # as too slow: no time is given to it any more

    def evict(self) -> None:
        """The process leaves: end it in the way that its state allows."""
        if self._state is State.OPEN:
            self._close(SERVICE_RESTART, LEAVING)
        elif self._state is State.CONNECTING:
            self._leave(ABNORMAL)
            self._refuse(503, LEAVING, RETRY_AFTER)

    def is_gone_unheard(self) -> bool:
        """Has its client hung up while nobody reads it and no worker has it? It must not be started then."""
        upstream = self._upstream
        return upstream is not None and not upstream.owned and self._transport.hung_up()

    def _read_on(self) -> None:
        raise NotImplementedError

    def _close(self, code: int, reason: str) -> None:
        """Our close; the client answers it, or is cut off. Only while open."""
        self._transport.write(close_frame(code, reason))
        self._say_last(State.CLOSING)
        self._leave(code, reason)
        self._read_on()

    def _fail(self, code: int, reason: str) -> None:
        """The client broke the rules: what it says from now on means nothing."""
        self._framing = None
        if self._state is State.OPEN:
            self._shared.context.counters[f"closed.websocket_{code}"] += 1
            self._transport.write(close_frame(code, reason))
            self._leave(code, reason)
        if self._state is not State.CLOSED:
            self._drain()

    def _give_up(self, why: str) -> None:
        """The client does not take what it is sent. Only while open."""
        self._shared.context.counters[f"closed.{why}"] += 1
        if times := self._shared.given_up.count(self._shared.context.loop.time()):
            channel = self._upstream.channel if self._upstream is not None else "?"
            waiting = self._transport.get_write_buffer_size() + (self._composer.waiting_bytes if self._composer else 0)
            text = "%s does not take what it is sent (%s): closed with 1013, and %d bytes are dropped; %d such since this was told last"
            logger.warning(text, channel, why, waiting, times)
        self._given_up = True
        self._close(TRY_AGAIN_LATER, "slow")

    def _at_fault(self, what: str) -> None:
        """The application (or its worker) broke the rules; the client is told as far as it still can be."""
        logger.error("%s: %s", self._upstream.channel if self._upstream is not None else "?", what)
        self._shared.context.counters["closed.application_error"] += 1
        if self._state is State.OPEN:
            self._close(INTERNAL_ERROR, "the application failed")
            return
        self._leave(INTERNAL_ERROR)
        if self._handshake is not None and not self._handshake.begun:
            self._refuse(500, "the application failed")
        else:
            self._abort("denial_cut")

    def _refuse(self, status: int, why: str, field: bytes = b"") -> None:
        """Answer the handshake by ourselves. `field` is a line for the response's head, or nothing."""
        handshake, self._handshake = self._handshake, None
        assert handshake is not None
        context = self._shared.context
        context.counters[f"refused.websocket_{status}"] += 1
        self._transport.write(handshake.refuse(status, why, field))
        handshake.log(context.access_log, status, why)
        self._drain()

    def _abort(self, why: str) -> None:
        """End without a word, so that the client can tell that something is missing."""
        self._shared.context.counters[f"aborted.{why}"] += 1
        self._leave(ABNORMAL)
        self._say_last(State.CLOSED)
        self._transport.abortConnection()

    def _drain(self) -> None:
        """All is said: close our direction, and wait until the client closes its own."""
        self._say_last(State.DRAINING)
        self._transport.write_eof()
        self._read_on()

    def _say_last(self, state: State) -> None:
        self._state = state
        self._clear = self._pinged = False
        self._composer = None
        self._shared.watch.closing_down(self, self._shared.context.loop.time())  # type: ignore[arg-type]  # a WebSocket

    def _leave(self, code: int, reason: str = "") -> None:
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.leave(code, reason)
