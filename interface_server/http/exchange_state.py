"""The states of an exchange: how much of its request is here, and how much of its response is written.

    NONE ──head──▶ HEAD ──▶ BODY ──▶ COMPLETE ──next head──▶ HEAD        any ──refused──▶ BODY
                     └──all of it at once──▶ ┘

    AWAITED ──the response begins──▶ STARTED ──its end──▶ AWAITED
      │    ▲                            ▲
      ▼    └──it comes, or is wanted    │
    CONTINUE_EXPECTED ──────────────────┘

The two are independent: a response may be over before its request is, and begin before that. The ordinary request takes `BEGUN`,
`ALL_HERE` and `ANSWERED`, looked up once; every other move is checked when it is made.
"""

from __future__ import annotations

from enum import Enum, auto

from interface_server.connections.transitions import IllegalMove


class RequestState(Enum):
    __hash__ = object.__hash__  # by identity; Enum's own is Python code

    NONE = auto()  # no request has come yet
    HEAD = auto()  # its head is here; nothing of it is at the backend
    BODY = auto()  # it is at the backend, or answered by ourselves; more of its body may come
    COMPLETE = auto()  # its last byte is here; also between two requests


class ResponseState(Enum):
    __hash__ = object.__hash__  # by identity; Enum's own is Python code

    CONTINUE_EXPECTED = auto()  # the client waits for `100 Continue` before it sends the body
    AWAITED = auto()  # nothing of the response is written; also between two requests
    STARTED = auto()  # its head is written, and its end is not


# A member of an Enum is found by a slow way through its class: these stand on the way of every request.
NONE, HEAD, BODY, COMPLETE = RequestState
CONTINUE_EXPECTED, AWAITED, STARTED = ResponseState

#: Every legal move of a request. One that is refused counts as one with a body to come, whatever it was: what follows it on the
#: connection cannot be trusted.
REQUEST_MOVES: dict[RequestState, tuple[RequestState, ...]] = {
    NONE: (HEAD, BODY),
    HEAD: (BODY, COMPLETE),
    BODY: (BODY, COMPLETE),
    COMPLETE: (HEAD, BODY, COMPLETE),
}

#: Every legal move of a response. One that is complete at once is never STARTED.
RESPONSE_MOVES: dict[ResponseState, tuple[ResponseState, ...]] = {
    CONTINUE_EXPECTED: (AWAITED, STARTED),
    AWAITED: (AWAITED, CONTINUE_EXPECTED, STARTED),
    STARTED: (AWAITED,),
}


def request_step(before: RequestState, after: RequestState) -> RequestState:
    """Move to `after`. Raises IllegalMove if the table has no such move: an error in this program."""
    if after not in REQUEST_MOVES[before]:
        raise IllegalMove(f"a request cannot go from {before.name} to {after.name}")
    return after


def response_step(before: ResponseState, after: ResponseState) -> ResponseState:
    """Move to `after`. Raises IllegalMove if the table has no such move: an error in this program."""
    if after not in RESPONSE_MOVES[before]:
        raise IllegalMove(f"a response cannot go from {before.name} to {after.name}")
    return after


#: The moves of an ordinary request, looked up once: it begins, all of it is here, its response is complete at once.
BEGUN = request_step(NONE, request_step(COMPLETE, HEAD))
ALL_HERE = request_step(HEAD, COMPLETE)
ANSWERED = response_step(AWAITED, AWAITED)
