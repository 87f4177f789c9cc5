"""WebSocket close codes, as interface servers, workers and applications use them.

They travel in `cancel` and in `websocket.close`. Not all of them may stand in a close frame: 1005 and 1006 mean that there was
none. RFC 6455, section 7.4, and the registry at IANA; PROTOCOL.md, "Events: WebSocket".
"""

from __future__ import annotations

from typing import Final

NORMAL: Final = 1000
PROTOCOL_ERROR: Final = 1002
NO_STATUS: Final = 1005  #: a close frame without a code
ABNORMAL: Final = 1006  #: no close frame: the peer has gone
INVALID_PAYLOAD: Final = 1007
TOO_BIG: Final = 1009
INTERNAL_ERROR: Final = 1011
SERVICE_RESTART: Final = 1012
TRY_AGAIN_LATER: Final = 1013

REASON_SIZE_BYTES_MAX: Final = 123  #: a control frame carries 125 bytes, two of them the code

_REGISTERED: Final = frozenset((1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014))


def may_travel(code: int) -> bool:
    """True if `code` may stand in a close frame: registered, or from 3000 to 4999."""
    return code in _REGISTERED or 3000 <= code <= 4999
