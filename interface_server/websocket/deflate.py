"""Compression of a WebSocket's messages: Autobahn's permessage-deflate, and its negotiation.

Neither side keeps its window between messages if the client agrees: a window costs 100 KiB per socket. RFC 7692.
"""

from __future__ import annotations

from typing import Any, cast

from autobahn.websocket.compress import PerMessageDeflate, PerMessageDeflateOffer, PerMessageDeflateOfferAccept
from autobahn.websocket.protocol import WebSocketServerProtocol

#: Size of all extension offers of one client. Browsers send 70 bytes; Autobahn takes 1.6 µs per offer of a long list.
OFFERS_SIZE_BYTES_MAX = 1024


class Deflate(PerMessageDeflate):
    """Autobahn's PerMessageDeflate, corrected for messages slightly above the limit.

    At the limit zlib may stop within a repetition although it has taken all of its input. Autobahn then takes the message for complete,
    and it would lose its end. With a limit one byte higher the difference shows, and Autobahn refuses the message.
    """

    def decompress_message_data(self, data: bytes, max_output_len: int | None = None) -> bytes:
        more = None if max_output_len is None else max_output_len + 1
        inflated: bytes = super().decompress_message_data(data, more)  # type: ignore[no-untyped-call]  # not annotated by Autobahn
        return inflated

    def drop_compressor(self) -> None:
        """Free the compressor's window: 100 KiB, and of no further use without context takeover."""
        self._compressor = None

    def drop_decompressor(self) -> None:
        """Free the decompressor's window: it is large, and of no use for the next message."""
        self._decompressor = None


def negotiate_deflate(offers: bytes) -> tuple[Deflate, str] | None:
    """Accept the first usable offer of permessage-deflate: the compression, and the answer. None: no compression."""
    if len(offers) > OFFERS_SIZE_BYTES_MAX:
        return None  # the server may decline: the socket opens without compression
    # Autobahn annotates little of this; `_parseExtensionsHeader` does not use its `self`.
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
            answer += "; server_no_context_takeover"  # allowed without an offer: RFC 7692, section 7.1.1.1
        return deflate_of(True, accept), answer
    return None
