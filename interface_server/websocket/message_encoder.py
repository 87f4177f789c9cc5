"""Encoder of messages that are sent in fragments or compressed.

A worker cuts a long message into parts, and each part is sent as a fragment when it arrives. Until the last one is sent no other message
may begin, so messages of third parties wait here. Most sockets never need an encoder, and have none.

No zlib here: the compression is passed in. RFC 6455, section 5.4; RFC 7692, section 7.2.1.
"""

from __future__ import annotations

from typing import Protocol

from channel_layer.protocol.events import EVENT_OVERHEAD_BYTES, Event
from interface_server.groups.interfaces import PushedMessage
from interface_server.websocket.frames import COMPRESSED, CONTINUATION, FIN, frame, message_payload


class Deflate(Protocol):
    """Compression of what is sent, with the methods of Autobahn's."""

    def start_compress_message(self) -> None: ...
    def compress_message_data(self, data: bytes) -> bytes: ...
    def end_compress_message(self) -> bytes: ...
    def drop_compressor(self) -> None: ...


class MessageEncoder:
    """The message that is being sent on one socket, and the messages that wait for its end."""

    __slots__ = ("_deflate", "_waiting", "inside_message", "waiting_bytes")

    def __init__(self, deflate: Deflate | None = None) -> None:
        self._deflate = deflate
        self._waiting: list[PushedMessage] = []
        self.waiting_bytes = 0  #: size of the messages that wait; an empty one counts too
        self.inside_message = False

    @property
    def compresses(self) -> bool:
        """True if every message of this socket is compressed, and so passes through the encoder."""
        return self._deflate is not None

    def encode(self, event: Event) -> bytes:
        """The frame of one `websocket.send`. With `more_body` the message continues. Raises like `message_frame`."""
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
        """Hold `pushed` until the message has ended. Raises like `message_frame`."""
        self.waiting_bytes += len(message_payload(pushed.event)[1]) + EVENT_OVERHEAD_BYTES
        self._waiting.append(pushed)

    def take_waiting(self) -> list[PushedMessage]:
        """Remove and return the messages that waited, in order."""
        waiting, self._waiting, self.waiting_bytes = self._waiting, [], 0
        return waiting
