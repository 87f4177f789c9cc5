"""A connection's scope as it travels: packed maps, of which it is the union.

Most of a scope repeats: the same client sent it a moment ago, or other clients requested the same path. So it is cut into pieces
by what repeats together. Its sender packs each frequent piece once, and its receiver unpacks it once. PROTOCOL.md, "Events: HTTP".
"""

from __future__ import annotations

from typing import Any, Final

from channel_layer.errors import ProtocolError
from channel_layer.protocol.codec import pack, unpack
from channel_layer.protocol.events import Event

#: Neither side remembers longer pieces, nor more of them: clients choose the contents.
REMEMBERED_SIZE_BYTES_MAX: Final = 1024
REMEMBERED_MAX: Final = 1024

Piece = bytes
#: Types of values that one application instance cannot change for another.
_PLAIN: Final = frozenset({str, bytes, int, float, bool, type(None), tuple})


class Scope:
    """A scope as its sender holds it. Neither part changes any more: repeated requests share it.

    event: the scope. pieces: the same, packed.
    """

    __slots__ = ("event", "pieces")

    def __init__(self, event: Event, pieces: list[Piece] | None = None) -> None:
        self.event = event
        self.pieces = [pack(event)] if pieces is None else pieces


class ScopeReader:
    """Puts scopes together again, and remembers pieces."""

    __slots__ = ("_remembered",)

    def __init__(self) -> None:
        self._remembered: dict[Piece, Event] = {}

    def read(self, pieces: list[Piece]) -> Event:
        """The scope in these pieces, which belongs to the caller alone. Raises ProtocolError, KeyError or TypeError for a malformed
        one.
        """
        scope: Event = {}
        for piece in pieces:
            part = self._remembered.get(piece)
            scope.update(self._unpacked(piece) if part is None else part)
        scope["headers"] = list(scope["headers"])
        if "subprotocols" in scope:
            scope["subprotocols"] = list(scope["subprotocols"])
        return scope

    def _unpacked(self, piece: Piece) -> Event:
        part = unpack(piece)
        if not isinstance(part, dict):
            raise ProtocolError(f"a piece of a scope is a map, not {type(part).__name__}")
        for key, shape in _SHAPES.items():
            if key in part:
                part[key] = shape(part[key])
        if len(piece) <= REMEMBERED_SIZE_BYTES_MAX and all(type(value) in _PLAIN for value in part.values()):
            if len(self._remembered) >= REMEMBERED_MAX:
                self._remembered.clear()  # rare, and cheap to fill again
            self._remembered[piece] = part
        return part


def _pairs(fields: Any) -> Any:
    return tuple([(name, value) for name, value in fields])


def _address(value: Any) -> Any:
    return value and tuple(value)


#: ASGI's pairs and addresses are tuples; msgpack knows only arrays.
_SHAPES: Final = {"headers": _pairs, "client": _address, "server": _address, "subprotocols": tuple}
