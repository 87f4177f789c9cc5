"""Autobahn's frame parser, borrowed for the length of a message.

Between two messages a parser remembers nothing, so an idle socket needs none: parsers stand in a rack, a socket takes one
when bytes arrive and puts it back at the end of a message. A hundred thousand idle sockets share a handful.

What Autobahn does: the frames' rules (RSV, opcodes, fragmentation, control frames, masks required, lengths), inflation and
its limit, the negotiation of permessage-deflate. What we do around it, for speed: the options stand in the class instead
of being copied into each object, unmasking happens once per frame, and UTF-8 is checked by the decoding that is needed
anyhow. A broken rule raises BadFrame out of `feed`. RFC 6455, section 5; RFC 7692.
"""

from __future__ import annotations

import logging
from typing import Any, Protocol, cast

from autobahn.websocket.compress import PerMessageDeflate, PerMessageDeflateOffer, PerMessageDeflateOfferAccept
from autobahn.websocket.protocol import TrafficStats, WebSocketServerProtocol
from autobahn.websocket.xormasker import create_xor_masker  # type: ignore[attr-defined]  # re-exported, unsaid

from channel_layer.protocol.close_codes import TOO_BIG
from interface_server.websocket.frames import CLOSE, PING, BadFrame

#: Up to here an xor of two long integers is faster than the call into C (0.7 µs instead of 3.3 for 64 bytes).
_MASK_BY_INTEGER_BYTES_MAX = 1024
#: Parsers that wait in the rack; what was made beyond it is thrown away. A parser takes about 1.5 KiB.
_POOL_SIZE_MAX = 64


class Listener(Protocol):
    """Who is told what was read."""

    def message_received(self, payload: bytes, binary: bool) -> None: ...
    def ping_received(self, payload: bytes) -> None: ...
    def pong_received(self) -> None: ...
    def close_received(self, payload: bytes) -> None: ...


class _Server:
    """All that the parser asks of its factory."""

    isServer = True


class FrameParser(WebSocketServerProtocol):
    """One parser. `listener` is set while it is borrowed."""

    log = logging.getLogger("towpath.interface.autobahn")
    factory = _Server()
    state = WebSocketServerProtocol.STATE_OPEN
    trafficStats = TrafficStats()  # type: ignore[no-untyped-call]  # nobody reads it
    trackedTimings = None  # type: ignore[assignment]  # as Autobahn itself does
    requireMaskedClientFrames = True
    applyMask = False  # we unmask a frame at its end; with deflate Autobahn must do it, before it inflates
    utf8validateIncoming = False
    maxFramePayloadSize = 0  # the message's limit is the frame's
    failByDrop = True
    failedByMe = False
    logFrames = False
    autoPingTimeoutCall = None
    autoPingPending = None

    def __init__(self, message_size_bytes_max: int) -> None:
        # Not Autobahn's: it makes two Deferreds and a description of a transport that this parser does not have.
        self.maxMessagePayloadSize = message_size_bytes_max
        self.listener: Listener | None = None
        self._perMessageCompress: Any = None  # PerMessageDeflate, while a socket that compresses has borrowed it
        self.data = b""
        self.current_frame: Any = None
        self.current_frame_masker: Any = None
        self.inside_message = False
        self.frame_payload: bytes | bytearray = b""  # of the frame that is being read, as masked as it came
        self.message_payload: bytes | bytearray = b""  # of the frames before it

    def receive_data(self, data: bytes) -> None:
        """Parse; the listener hears of each message and control frame. Raises BadFrame: this parser is then spoilt."""
        self.data = self.data + data if self.data else data
        while self.processData():
            pass

    def between_messages(self) -> bool:
        """Nothing is remembered: the parser may serve another socket."""
        return self.current_frame is None and not self.inside_message and not self.data

    def wanted_size_bytes(self) -> int:
        """How much is missing of the frame that is being read."""
        frame = self.current_frame
        return frame.length - self.current_frame_masker.pointer() if frame is not None else 0

    # What Autobahn calls.

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
        payload = bytes(payload)  # which costs nothing where it came in one piece
        if self.applyMask or not payload:
            return payload
        mask, size = self.current_frame.mask, len(payload)
        if size > _MASK_BY_INTEGER_BYTES_MAX:
            masker: Any = create_xor_masker(mask, size)  # type: ignore[no-untyped-call]  # C behind it
            return bytes(masker.process(payload))
        key = int.from_bytes((mask * ((size >> 2) + 1))[:size], "little")
        return (int.from_bytes(payload, "little") ^ key).to_bytes(size, "little")


def _longer(payload: bytes | bytearray, part: bytes) -> bytes | bytearray:
    """Both as one. A list of parts would cost what it holds forty times over where a client cuts them small, or empty."""
    if not isinstance(payload, bytearray):
        payload = bytearray(payload)
    payload += part
    return payload


class Deflate(PerMessageDeflate):
    """Autobahn's, but for messages a little above the limit.

    zlib stops at a limit in the middle of what it repeats, with all of its input taken: Autobahn thinks that was all, and
    the message would lose its end. One byte more tells the difference, and Autobahn refuses what is longer than the limit.
    """

    def decompress_message_data(self, data: bytes, max_output_len: int | None = None) -> bytes:
        more = None if max_output_len is None else max_output_len + 1
        inflated: bytes = super().decompress_message_data(data, more)  # type: ignore[no-untyped-call]  # Autobahn says nothing of it
        return inflated

    def drop_compressor(self) -> None:
        """Forget the window of what was sent: 100 KiB each, and without takeover of no further use."""
        self._compressor = None

    def drop_decompressor(self) -> None:
        """Forget the window of what was received: it is of no use for the next message, and large."""
        self._decompressor = None


class ParserPool:
    """Parsers that nobody needs just now."""

    __slots__ = ("_free", "_message_size_bytes_max")

    def __init__(self, message_size_bytes_max: int) -> None:
        self._message_size_bytes_max = message_size_bytes_max
        self._free: list[FrameParser] = []

    def acquire(self, listener: Listener, deflate: Deflate | None) -> FrameParser:
        """A parser that tells `listener`, and inflates with `deflate`."""
        parser = self._free.pop() if self._free else FrameParser(self._message_size_bytes_max)
        parser.listener = listener
        if deflate is not None:
            parser._perMessageCompress = deflate
            parser.applyMask = True
        return parser

    def release(self, parser: FrameParser) -> None:
        """Only between messages; a spoilt parser is dropped instead."""
        parser.listener = None
        if parser._perMessageCompress is not None:
            parser._perMessageCompress = None
            parser.applyMask = False
        if len(self._free) < _POOL_SIZE_MAX:
            self._free.append(parser)


#: Of all extension offers of one client. Browsers say 70 bytes; Autobahn takes 1.6 µs for each of a long list.
OFFERS_SIZE_BYTES_MAX = 1024


def negotiate_deflate(offers: bytes) -> tuple[Deflate, str] | None:
    """The first offer of permessage-deflate that we can take, and the answer to it.

    Both sides forget their window after each message where the client can: a kept one costs 100 KiB per socket.
    """
    if len(offers) > OFFERS_SIZE_BYTES_MAX:
        return None  # as the server is free to: the socket is open without compression
    # Autobahn has annotated little of this; what it calls `self` is not used there.
    parse, offer_of, accept_of, deflate_of = cast(
        Any,
        (
            WebSocketServerProtocol._parseExtensionsHeader,
            PerMessageDeflateOffer.parse,
            PerMessageDeflateOfferAccept,
            Deflate.create_from_offer_accept,
        ),
    )
    for name, parameters in parse(None, offers.decode("latin-1")):
        if name != PerMessageDeflateOffer.EXTENSION_NAME:
            continue
        try:
            offer = offer_of(parameters)
        except Exception:  # noqa: BLE001  Autobahn raises bare Exception for an offer that is not legal: decline it
            continue
        accept = accept_of(
            offer, request_no_context_takeover=offer.accept_no_context_takeover, no_context_takeover=True
        )
        answer = accept.get_extension_string()
        if not offer.request_no_context_takeover:
            answer += "; server_no_context_takeover"  # may be said unasked: RFC 7692, section 7.1.1.1
        return deflate_of(True, accept), answer
    return None
