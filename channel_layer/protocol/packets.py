"""The packets of PROTOCOL.md, which two processes exchange about one connection, as the tuples that travel.

A packet is a plain tuple, for the sake of the hot path: its kind, the connection's number, its epoch, and the rest. Each kind has
one constructor here with the fields as its parameters, in order. Readers get lists of the same shape, checked by `codec.py` for
kind, length and the type of the epoch; a packet that is longer than known is of a later version, and its tail is ignored.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Final

from channel_layer.errors import ProtocolError
from channel_layer.protocol.close_codes import ABNORMAL
from channel_layer.protocol.events import Event

VERSION: Final = 1

#: A packet as it is sent; as it is read it is a list of the same shape.
Packet = tuple[Any, ...]

#: Exceptions that a malformed packet may raise in its handler. It ends its own connection, and affects no other.
MALFORMED: Final = (TypeError, ValueError, KeyError, IndexError, AttributeError, RecursionError, ProtocolError)


class Kind(IntEnum):
    """The first field of every packet."""

    OPEN = 1
    ADOPTED = 2
    REFUSED = 3
    DATA = 4
    CREDIT = 5
    CLOSE = 6
    CANCEL = 7
    HANDOFF = 8
    SEND = 9
    JOIN = 10
    LEAVE = 11
    JOINED = 12
    SYNC = 13
    PUBLISHED = 14
    MESSAGE = 15
    UNDELIVERABLE = 16
    INVITE = 17


#: The least number of fields in a packet of each kind.
LENGTH_MIN: Final = {
    Kind.OPEN: 10,
    Kind.ADOPTED: 4,
    Kind.REFUSED: 4,
    Kind.DATA: 5,
    Kind.CREDIT: 5,
    Kind.CLOSE: 4,
    Kind.CANCEL: 6,
    Kind.HANDOFF: 6,
    Kind.SEND: 4,
    Kind.JOIN: 5,
    Kind.LEAVE: 5,
    Kind.JOINED: 5,
    Kind.SYNC: 5,
    Kind.PUBLISHED: 5,
    Kind.MESSAGE: 5,
    Kind.UNDELIVERABLE: 4,
    Kind.INVITE: 5,
}

# Plain integers for the hot paths: an IntEnum member costs one more look-up at each use.
OPEN: Final = int(Kind.OPEN)
ADOPTED: Final = int(Kind.ADOPTED)
REFUSED: Final = int(Kind.REFUSED)
DATA: Final = int(Kind.DATA)
CREDIT: Final = int(Kind.CREDIT)
CLOSE: Final = int(Kind.CLOSE)
CANCEL: Final = int(Kind.CANCEL)
HANDOFF: Final = int(Kind.HANDOFF)
SEND: Final = int(Kind.SEND)
JOIN: Final = int(Kind.JOIN)
LEAVE: Final = int(Kind.LEAVE)
JOINED: Final = int(Kind.JOINED)
SYNC: Final = int(Kind.SYNC)
PUBLISHED: Final = int(Kind.PUBLISHED)
MESSAGE: Final = int(Kind.MESSAGE)
UNDELIVERABLE: Final = int(Kind.UNDELIVERABLE)
INVITE: Final = int(Kind.INVITE)

#: The positions of those fields of `open` that are read one by one.
OPEN_MORE_BODY: Final = 5
OPEN_WINDOW: Final = 6
OPEN_WAIT_MS: Final = 7
OPEN_EXPECTS: Final = 8
OPEN_ERA: Final = 9
OPEN_RESUME: Final = 10
OPEN_ONCE: Final = 11
#: The position of the last field of `join`, which older senders leave out.
JOIN_REPORT: Final = 5
#: The same of `invite`.
INVITE_HAS_PLACES: Final = 5

#: In `undeliverable`: no message reaches the client any more, of whatever type.
EVERY_TYPE: Final = ""

#: In a message to a group: node, number and epoch of the WebSocket from whose instance it comes, and the count of its
#: `published`.
ORIGIN: Final = "towpath.origin"
#: In a message to a group: the names of the channels that do not get it.
EXCLUDE: Final = "towpath.exclude"
Origin = tuple[str, int, int, int]


class AdoptionRefusal(IntEnum):
    """Why an entry was taken from the queue and not adopted."""

    LATE = 0  #: past its wait, by Redis' clock
    ERA = 1  #: of another era of Redis' data
    NOT_TAKEN = 2  #: the worker that has read it may not take it, and no other has it: queue it again
    LEAVING = 3  #: the worker with this channel of its own takes nothing any more: queue it again, for all workers


class Close(IntEnum):
    """Why a worker reports that an instance is over."""

    FINISHED = 0  #: the application returned (and, for HTTP, before its response was complete)
    FAILED = 1  #: the application raised, or sent what it may not send
    STOPPING = 2  #: this worker drains, and the time for the application is over
    NOT_STARTED = 3  #: the application was not started and will not be, here
    UNKNOWN = 4  #: this worker does not know the connection


class Cancel(IntEnum):
    """Why an application instance must end."""

    LEFT = 0  #: the client left, with this code and reason
    MOVED = 1  #: another worker owns the connection now
    UNKNOWN = 2  #: the interface server does not know the connection (any more)
    DEAD = 3  #: the worker was declared dead
    PACKETS_LOST = 4  #: packets were lost
    SLOW = 5  #: reserved: a client that takes nothing for too long is disconnected, and has left then
    RECALLED = (
        6  #: another worker has quota: a worker that has not begun answers `close` NOT_STARTED, any other ignores it
    )


def open_(
    number: int,
    epoch: int,
    scope: list[bytes],
    body: bytes,
    more_body: bool,
    window: int,
    wait_ms: int,
    expects: bool,
    era: str,
    resume: Event | None = None,
    once: bool = True,
) -> Packet:
    """interface → shared channel, or → a worker that has invited it.

    `window`: bytes the interface server takes; `expects`: the client waits for 100.

    The arguments are by position: they are the packet's fields in their order on the wire, as for every packet here.

    scope: its pieces, see scope.py.

    once: it may start only once.

    resume: for a WebSocket that is open already, what its next instance finds at `scope["extensions"]["towpath.resume"]`.
    """
    return (OPEN, number, epoch, scope, body, more_body, window, wait_ms, expects, era, resume, once)


def adopted(number: int, epoch: int, window: int) -> Packet:
    """take script → interface; the batch's sender is the owner. `window`: bytes the worker takes."""
    return (ADOPTED, number, epoch, window)


def refused(number: int, epoch: int, why: int) -> Packet:
    """take script → interface: no worker will run this epoch. why: an AdoptionRefusal."""
    return (REFUSED, number, epoch, why)


def data(number: int, epoch: int, sequence: int, events: list[Event]) -> Packet:
    """Both ways: one or more events, in order. `sequence` counts from 1 in each direction and epoch."""
    return (DATA, number, epoch, sequence, events)


def credit(number: int, epoch: int, total: int, consumed: int) -> Packet:
    """Both ways: the total of bytes allowed since the epoch began, and the last sequence consumed."""
    return (CREDIT, number, epoch, total, consumed)


def close(number: int, epoch: int, why: Close) -> Packet:
    """worker → interface: the instance is over."""
    return (CLOSE, number, epoch, int(why))


def cancel(number: int, epoch: int, why: Cancel, code: int = ABNORMAL, reason: str = "") -> Packet:
    """interface → worker: end the instance."""
    return (CANCEL, number, epoch, int(why), code, reason)


def handoff(number: int, epoch: int, sequence: int, consumed: int) -> Packet:
    """worker → interface: requeue this open WebSocket for another worker. `consumed`: the last sequence that `receive()`
    returned.
    """
    return (HANDOFF, number, epoch, sequence, consumed, None)


def send(number: int, event: Event, epoch: int = 0, count: int = 0) -> Packet:
    """any process → the owner of a reply channel: one event. The connection's own instance adds its epoch, and a count (see
    `published`).
    """
    return (SEND, number, epoch, event, count)


def join(number: int | str, epoch: int, group: str, request: int, report: Event | None = None) -> Packet:
    """any process → the owner of a channel: make it a member. Epoch 0: not from its own instance, always accepted.

    number: that of the connection; the local part of an application channel's name stands in its place. report: what the client is
    sent when messages to the group were missed; older owners ignore it.
    """
    return (JOIN, number, epoch, group, request, report)


def leave(number: int | str, epoch: int, group: str, request: int) -> Packet:
    """any process → the owner of a channel: end its membership."""
    return (LEAVE, number, epoch, group, request)


def joined(number: int | str, epoch: int, request: int, known: bool) -> Packet:
    """The answer to `join` and `leave`. `known` False: there is no such channel (any more)."""
    return (JOINED, number, epoch, request, known)


def sync(number: int, epoch: int, count: int, wants_answer: bool) -> Packet:
    """Both ways, whenever packets may have been lost: how many numbered packets were sent in this epoch. Fewer received: some
    were lost.
    """
    return (SYNC, number, epoch, count, wants_answer)


def published(number: int, epoch: int, count: int, group: str) -> Packet:
    """worker → interface: the message to `group` that names this `count` has this position among all that the instance sends."""
    return (PUBLISHED, number, epoch, count, group)


def message(local: str, event: Event, expiry_ms: int) -> Packet:
    """any process → the owner of an application channel, or → a shared channel of applications: one message.

    local: the part of the channel's name behind the `!`; empty on a shared channel. expiry_ms: for how long it may wait there.
    """
    return (MESSAGE, local, 0, event, expiry_ms)


def undeliverable(number: int, kind: str) -> Packet:
    """owner of a reply channel → the sender of a message that was dropped: further ones will be dropped too.

    kind: the type of the messages that this connection cannot take; EVERY_TYPE if it is over.
    """
    return (UNDELIVERABLE, number, 0, kind)


def invite(quota: int, last: int, has_places: bool = False) -> Packet:
    """worker → interface: send me up to `quota` requests directly, beyond connection number `last`, which I have received.

    All up to `last` have begun, or are refused by `close`. Quota 0: send none. The last invitation counts. has_places: I have free
    places, of which the shared channel may make use, whatever the quota.
    """
    return (INVITE, 0, 0, quota, last, has_places)
