"""How far a WebSocket has been accepted, and when its next instance may go on where the last one ended.

Both move by the same steps. An HTTP exchange stays at the first state of either, unless its response is an event stream, which takes
messages of groups and third parties from its start. PROTOCOL.md, "Hand-off"; P1, P7.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final, TypeVar

from channel_layer.protocol.illegal_move import IllegalMove


class Acceptance(Enum):
    """How far the handshake has come; whether an event stream has begun."""

    PENDING = auto()
    ACCEPTED_EARLIER = auto()  #: by the instance of an earlier epoch
    ACCEPTED = auto()  #: by the instance of this epoch
    EVENT_STREAM = auto()  #: the response of an HTTP exchange has begun and is an event stream


class ResumePolicy(Enum):
    """When the next instance may go on."""

    NEVER = auto()
    AFTER_DRAIN = auto()
    AFTER_CRASH = auto()  #: and after a drain


class Step(Enum):
    """An event that changes one of them."""

    ACCEPT = auto()  #: the instance of this epoch accepts, and asks for no resumption
    ACCEPT_RESUMABLE = auto()
    ACCEPT_RESUMABLE_AFTER_CRASH = auto()
    NEXT_EPOCH = auto()
    MESSAGE_CUT = auto()  #: its owner has died within a message to the client, which no other owner can finish
    STREAM_BEGAN = auto()  #: the start of an event stream is written


State = TypeVar("State", Acceptance, ResumePolicy)

_A: Final = Acceptance
_R: Final = ResumePolicy
_S: Final = Step

_ACCEPTED: Final = dict.fromkeys((_S.ACCEPT, _S.ACCEPT_RESUMABLE, _S.ACCEPT_RESUMABLE_AFTER_CRASH), _A.ACCEPTED)
#: Every legal move. An instance accepts once: a second accept is no step.
ACCEPTANCE_MOVES: Final[dict[Acceptance, dict[Step, Acceptance]]] = {
    _A.PENDING: {**_ACCEPTED, _S.NEXT_EPOCH: _A.PENDING, _S.STREAM_BEGAN: _A.EVENT_STREAM},
    _A.ACCEPTED_EARLIER: {**_ACCEPTED, _S.NEXT_EPOCH: _A.ACCEPTED_EARLIER, _S.MESSAGE_CUT: _A.ACCEPTED_EARLIER},
    _A.ACCEPTED: {_S.NEXT_EPOCH: _A.ACCEPTED_EARLIER, _S.MESSAGE_CUT: _A.ACCEPTED},
    _A.EVENT_STREAM: {},  # its client has seen something: it is never started again
}

_ASKED: Final = {
    _S.ACCEPT: _R.NEVER,
    _S.ACCEPT_RESUMABLE: _R.AFTER_DRAIN,
    _S.ACCEPT_RESUMABLE_AFTER_CRASH: _R.AFTER_CRASH,
}
#: Every legal move. The last accept decides.
RESUME_MOVES: Final[dict[ResumePolicy, dict[Step, ResumePolicy]]] = {
    _R.NEVER: {**_ASKED, _S.NEXT_EPOCH: _R.NEVER, _S.MESSAGE_CUT: _R.NEVER, _S.STREAM_BEGAN: _R.NEVER},
    _R.AFTER_DRAIN: {**_ASKED, _S.NEXT_EPOCH: _R.AFTER_DRAIN, _S.MESSAGE_CUT: _R.NEVER},
    _R.AFTER_CRASH: {**_ASKED, _S.NEXT_EPOCH: _R.AFTER_CRASH, _S.MESSAGE_CUT: _R.NEVER},
}


def after(moves: dict[State, dict[Step, State]], state: State, step: Step) -> State:
    """The state after `step`. Raises IllegalMove if the table has no such move."""
    following = moves[state].get(step)
    if following is None:
        raise IllegalMove(f"{step.name} while {state.name}")
    return following


def step_of_accept(resumable: object) -> Step:
    """The step for a `websocket.accept` with this `resumable`."""
    if resumable == "crash":
        return Step.ACCEPT_RESUMABLE_AFTER_CRASH
    return Step.ACCEPT_RESUMABLE if resumable else Step.ACCEPT
