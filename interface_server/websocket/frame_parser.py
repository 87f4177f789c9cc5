"""Pool of Autobahn's frame parsers; a socket acquires one for the length of a message.

Between two messages a parser has no state, so an idle socket needs none: a socket acquires a parser when bytes arrive, and releases it
at the end of a message. A hundred thousand idle sockets share a handful of parsers.

Autobahn checks the rules of frames (RSV, opcodes, fragmentation, control frames, required masks, lengths), and inflates up to a limit
(deflate.py). Changed here, for speed: options are attributes of the class instead of being copied into each object,
a payload is unmasked once per frame, and the decoding that is needed anyway checks UTF-8. A broken rule raises BadFrame from
`receive_data`. RFC 6455, section 5.
"""

from __future__ import annotations

import logging
from typing import Any, Protocol

from autobahn.websocket.protocol import TrafficStats, WebSocketServerProtocol
from autobahn.websocket.xormasker import create_xor_masker  # type: ignore[attr-defined]  # re-exported, unsaid

from channel_layer.protocol.close_codes import TOO_BIG
from interface_server.websocket.deflate import Deflate
from interface_server.websocket.frames import CLOSE, PING, BadFrame, unmasked

#: Up to this size `unmasked` is faster than the call into C.
_MASK_BY_INTEGER_BYTES_MAX = 1024
#: Idle parsers that the pool keeps; more are dropped on release. A parser takes about 1.5 KiB.
_POOL_SIZE_MAX = 64


class Listener(Protocol):
    """Receives what a parser has read."""

    def message_received(self, payload: bytes, binary: bool) -> None: ...
    def ping_received(self, payload: bytes) -> None: ...
    def pong_received(self) -> None: ...
    def close_received(self, payload: bytes) -> None: ...


class _Server:
    """The only attribute of a factory that the parser uses."""

    isServer = True


class FrameParser(WebSocketServerProtocol):
    """One parser. `listener` is set while it is acquired."""

    log = logging.getLogger("towpath.interface.autobahn")
    factory = _Server()
    state = WebSocketServerProtocol.STATE_OPEN
    trafficStats = TrafficStats()  # type: ignore[no-untyped-call]  # never read
    trackedTimings = None  # type: ignore[assignment]  # as Autobahn itself does
    requireMaskedClientFrames = True
    applyMask = False  # we unmask a frame at its end; with deflate Autobahn must do it, before it inflates
    utf8validateIncoming = False  # and Autobahn's validator could not: it is imported without cffi
    maxFramePayloadSize = 0  # the message's limit is the frame's
    failByDrop = True
    failedByMe = False
    logFrames = False
    autoPingTimeoutCall = None
    autoPingPending = None

    def __init__(self, message_size_bytes_max: int) -> None:
        # Autobahn's own constructor is not called: it makes two Deferreds, and describes a transport that this parser does not have.
        self.maxMessagePayloadSize = message_size_bytes_max
        self.listener: Listener | None = None
        self._perMessageCompress: Any = None  # PerMessageDeflate, while it is acquired by a socket that compresses
        self.data = b""
        self.current_frame: Any = None
        self.current_frame_masker: Any = None
        self.inside_message = False
        self.frame_payload: bytes | bytearray = b""  # of the frame that is being read, still masked
        self.message_payload: bytes | bytearray = b""  # of the frames before it

    def receive_data(self, data: bytes) -> None:
        """Parse `data`; the listener gets each message and control frame. Raises BadFrame, and the parser is then broken."""
        self.data = self.data + data if self.data else data
        while self.processData():
            pass

    def between_messages(self) -> bool:
        """True if the parser has no state, so that it may serve another socket."""
        return self.current_frame is None and not self.inside_message and not self.data

    def wanted_size_bytes(self) -> int:
        """The bytes that are missing of the frame that is being read."""
        frame = self.current_frame
        return frame.length - self.current_frame_masker.pointer() if frame is not None else 0

    # Calls of Autobahn.

    def _onMessageBegin(self, isBinary: bool) -> None:
        self.message_is_binary = isBinary
        self.message_payload = b""
        self.message_data_total_length = 0

    def _onMessageFrameBegin(self, length: int) -> None:
        self.frame_payload = b""
        self.message_data_total_length += length
        if self.message_data_total_length > self.maxMessagePayloadSize > 0:
            raise BadFrame(TOO_BIG, "message too big")

    def _onMessageFrameData(self, payload: bytes) -> None:
        self.frame_payload = _longer(self.frame_payload, payload) if self.frame_payload else payload

    def _onMessageFrameEnd(self) -> None:
        payload = self._unmasked(self.frame_payload)
        self.frame_payload = b""
        self.message_payload = _longer(self.message_payload, payload) if self.message_payload else payload

    def _onMessageEnd(self) -> None:
        payload, self.message_payload = self.message_payload, b""
        assert self.listener is not None
        self.listener.message_received(bytes(payload), self.message_is_binary)

    def processControlFrame(self) -> bool:
        payload = self._unmasked(b"".join(self.control_frame_data))
        opcode, listener = self.current_frame.opcode, self.listener
        assert listener is not None
        if opcode == CLOSE:
            listener.close_received(payload)
        elif opcode == PING:
            listener.ping_received(payload)
        else:
            listener.pong_received()
        return True

    def _fail_connection(self, code: int = 1001, reason: str = "going away") -> None:
        raise BadFrame(code, reason)

    def _unmasked(self, payload: bytes | bytearray) -> bytes:
        payload = bytes(payload)  # costs nothing if the payload came in one piece
        if self.applyMask or not payload:
            return payload
        mask, size = self.current_frame.mask, len(payload)
        if size > _MASK_BY_INTEGER_BYTES_MAX:
            masker: Any = create_xor_masker(mask, size)  # type: ignore[no-untyped-call]  # C behind it
            return bytes(masker.process(payload))
        return unmasked(payload, mask)


def _longer(payload: bytes | bytearray, part: bytes) -> bytes | bytearray:
    """Join both. A list of parts would take forty times their size if a client sends small or empty ones."""
    if not isinstance(payload, bytearray):
        payload = bytearray(payload)
    payload += part
    return payload


class ParserPool:
    """Idle parsers."""

    __slots__ = ("_free", "message_size_bytes_max")

    def __init__(self, message_size_bytes_max: int) -> None:
        self.message_size_bytes_max = message_size_bytes_max
        self._free: list[FrameParser] = []

    def acquire(self, listener: Listener, deflate: Deflate | None) -> FrameParser:
        """A parser that calls `listener`, and inflates with `deflate`."""
        parser = self._free.pop() if self._free else FrameParser(self.message_size_bytes_max)
        parser.listener = listener
        if deflate is not None:
            parser._perMessageCompress = deflate
            parser.applyMask = True
        return parser

    def release(self, parser: FrameParser) -> None:
        """Take back a parser between two messages. A broken parser must be dropped instead."""
        parser.listener = None
        if parser._perMessageCompress is not None:
            parser._perMessageCompress = None
            parser.applyMask = False
        if len(self._free) < _POOL_SIZE_MAX:
            self._free.append(parser)
