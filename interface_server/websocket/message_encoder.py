"""Messages that cannot be built by one look at the event: sent in fragments, or compressed.

A worker cuts a long message, and each part leaves as a fragment when it comes; until the last one is out no other message
may begin, so what third parties send in the meantime waits here. Most sockets never need a encoder, and have none.

No zlib here: whoever negotiated the compression brings it. RFC 6455, section 5.4; RFC 7692, section 7.2.1.
"""

from __future__ import annotations

from typing import Protocol

from channel_layer.protocol.events import EVENT_OVERHEAD_BYTES, Event
from interface_server.groups.interfaces import PushedMessage
from interface_server.websocket.frames import COMPRESSED, CONTINUATION, FIN, frame, message_payload


class Deflate(Protocol):
    """One direction's compression, as Autobahn shapes it."""

    def start_compress_message(self) -> None: ...
    def compress_message_data(self, data: bytes) -> bytes: ...
    def end_compress_message(self) -> bytes: ...
    def drop_compressor(self) -> None: ...


class MessageEncoder:
    """What is under way on one socket."""

    __slots__ = ("_deflate", "_waiting", "inside_message", "waiting_bytes")

    def __init__(self, deflate: Deflate | None = None) -> None:
        self._deflate = deflate
        self._waiting: list[PushedMessage] = []
        self.waiting_bytes = 0  #: size of what waits for the end of the message; even empty ones have one
        self.inside_message = False

    @property
    def compresses(self) -> bool:
        """True if every message of this socket goes through here."""
        return self._deflate is not None

    def encode(self, event: Event) -> bytes:
        """The frame of one `websocket.send`; with `more_body` the message goes on. Raises like `message_frame`."""
        opcode, payload = message_payload(event)
        more = bool(event.get("more_body"))
        first_byte = CONTINUATION if self.inside_message else opcode
        if self._deflate is not None:
            if not self.inside_message:
                first_byte |= COMPRESSED
                self._deflate.start_compress_message()
            payload = self._deflate.compress_message_data(payload)
            if not more:
                payload += self._deflate.end_compress_message()
                self._deflate.drop_compressor()
        self.inside_message = more
        return frame(first_byte if more else first_byte | FIN, payload)

    def hold(self, pushed: PushedMessage) -> None:
        """Keep `pushed` until the message is over. Raises like `message_frame`."""
        self.waiting_bytes += len(message_payload(pushed.event)[1]) + EVENT_OVERHEAD_BYTES
        self._waiting.append(pushed)

    def take_waiting(self) -> list[PushedMessage]:
        """What waited, in order; nothing waits any more."""
        waiting, self._waiting, self.waiting_bytes = self._waiting, [], 0
        return waiting
