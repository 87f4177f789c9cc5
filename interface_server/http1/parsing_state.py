"""The states of the parser of an HTTP/1 connection, and which may follow which.

    HEAD, BEHIND ──head──▶ BODY ────────────────────────end──▶ BEHIND ──the read is over──▶ HEAD
         └─head with an upgrade──▶ UPGRADE ─no body─────end──▶ BEHIND
                                      └─a body, read by another parser──▶ BODY

At the end of the last request the parser of llhttp is dropped: nothing is parsed any more, and the state means nothing.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final


class ParsingState(Enum):
    __hash__ = object.__hash__  # by identity; Enum's own is Python code, and stands in every look-up

    HEAD = auto()  # a head comes, or nothing yet
    BEHIND = auto()  # the same, but a head that begins now begins in the same read as the end of another request
    BODY = auto()  # a head has come, and the end of its request has not
    UPGRADE = auto()  # the same, but llhttp stops behind this head


# A member of an Enum is found by a slow way through its class: these stand on the way of every request.
HEAD: Final = ParsingState.HEAD
BEHIND: Final = ParsingState.BEHIND
BODY: Final = ParsingState.BODY
UPGRADE: Final = ParsingState.UPGRADE

# Every legal move, by what leads to it: from each state to the next. A state that is missing is an error in this program.
ON_HEAD: Final = {HEAD: BODY, BEHIND: BODY}  # a head has come,
ON_UPGRADE: Final = {HEAD: UPGRADE, BEHIND: UPGRADE}  # or one behind which llhttp stops
ON_OTHER_PARSER: Final = {UPGRADE: BODY}  # another parser reads the body behind it
ON_END: Final = {BODY: BEHIND, UPGRADE: BEHIND}  # the request is here to its last byte
ON_READ_OVER: Final = {BEHIND: HEAD}  # the bytes of one read are parsed
MOVES: Final = (ON_HEAD, ON_UPGRADE, ON_OTHER_PARSER, ON_END, ON_READ_OVER)
