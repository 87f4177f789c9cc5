"""The life of one connection at the interface server: who may speak for it, and what is done when something happens.

                  ┌───────────────────────────── open again, next epoch ─────────────────────────────┐
                  ▼                                                                                   │
    QUEUED: open is on its channel; nobody owns us yet  ── adopted ──▶  OWNED: events flow both ways ─┤
       │ wait over, or the outcome of `open` is unknown                      ▲                        │
       ▼                                                                     │                        │
    OVERDUE: whoever took us has said so in our inbox already  ── adopted ───┘          DONE ◀────────┘

Who owns it may die. Then it is judged (`replayable`): opened again as long as its client has seen nothing, a second start harms
nobody, and everything that the first instance was given is still here; else it ends visibly.

DONE is forgotten at once. What others still say about a connection that is done is a *stray*: it moves nothing, and its sender
is told (`is_from_owner`). PROTOCOL.md, "The life of a connection"; promises P1, P2, P3.
"""

from __future__ import annotations

from enum import Enum, auto

from channel_layer.protocol.events import Event
from channel_layer.protocol.flow_control import Incoming, Outgoing
from channel_layer.protocol.scope import Piece, Scope
from interface_server.affinity.affinity import Tie

#: A scope's pieces, the first part of the body, and whether more follows.
Opening = tuple[list[Piece], bytes, bool]

#: Methods that may be started twice (RFC 9110, 9.2.2), as far as nothing of the body is lost.
IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})


class State(Enum):
    """Where a connection is."""

    __hash__ = object.__hash__  # by identity; Enum's own is Python code, and stands in every look-up

    QUEUED = auto()
    OVERDUE = auto()
    OWNED = auto()
    DONE = auto()


class Trigger(Enum):
    """What can happen to a connection."""

    __hash__ = object.__hash__  # by identity; Enum's own is Python code, and stands in every look-up

    ADOPTED = auto()  #: a worker won it
    REFUSED = auto()  #: it was taken from the queue too late
    FULL = auto()  #: the channel was full
    UNAVAILABLE = auto()  #: Redis was not reachable; nothing was added
    UNKNOWN = auto()  #: `open` was sent and never answered
    WAIT_OVER = auto()  #: nobody adopted it in time
    WITHDRAWN = auto()  #: the cancel script won
    NOT_STARTED = auto()  #: the owner says that it will not start it, or somebody that nobody has taken it
    ENDED = auto()  #: the owner says that the instance is over
    OWNER_DIED = auto()
    HANDED_OFF = auto()  #: the owner asks for another one; the WebSocket stays open
    STOPPED = auto()  #: the owner's time to finish is over
    REDIS_EMPTY = auto()  #: what was queued is queued no more, or in another life of Redis' data
    GAP = auto()  #: a packet was lost
    OUTAGE = auto()  #: Redis has been away for longer than anybody wants to wait
    LEFT = auto()  #: the client is gone
    COMPLETE = auto()  #: the response is complete


class Action(Enum):
    """What the shell then has to do."""

    __hash__ = object.__hash__  # by identity; Enum's own is Python code, and stands in every look-up

    NOTHING = auto()
    FLOW = auto()  #: send what waits, as far as there is room
    OPEN_AGAIN = auto()  #: queue it again; the epoch was raised
    AWAIT = auto()  #: wait for an adoption that may come, and not for long
    WITHDRAW = auto()  #: run the cancel script
    CANCEL_OWNER = auto()  #: tell the owner that it is over
    END_FULL = auto()
    END_LATE = auto()
    END_UNAVAILABLE = auto()
    END_DIED = auto()
    END_UNKNOWN = auto()
    END_PACKETS_LOST = auto()  #: and tell the owner
    END_OUTAGE = auto()  #: and tell the owner, once that is possible
    END_AS_TOLD = auto()  #: for the reason that the owner gave


_H, _S, _A = Trigger, State, Action

#: Every legal move. A pair that is missing is an error in this program, never a shrug.
MOVES: dict[State, dict[Trigger, tuple[State, Action]]] = {
    _S.QUEUED: {
        _H.ADOPTED: (_S.OWNED, _A.FLOW),
        _H.REFUSED: (_S.DONE, _A.END_LATE),
        _H.FULL: (_S.DONE, _A.END_FULL),
        _H.UNAVAILABLE: (_S.DONE, _A.END_UNAVAILABLE),
        _H.UNKNOWN: (_S.OVERDUE, _A.AWAIT),  # but if it may start twice: see `transition`
        _H.WAIT_OVER: (_S.OVERDUE, _A.WITHDRAW),
        _H.LEFT: (_S.DONE, _A.WITHDRAW),
        _H.NOT_STARTED: (_S.QUEUED, _A.OPEN_AGAIN),
        _H.REDIS_EMPTY: (_S.OVERDUE, _A.AWAIT),  # as UNKNOWN: it may have been taken before
        # Redis lost data, and our entry was there all the same: nobody has it.
        _H.WITHDRAWN: (_S.QUEUED, _A.OPEN_AGAIN),
    },
    _S.OVERDUE: {
        _H.ADOPTED: (_S.OWNED, _A.FLOW),
        _H.REFUSED: (_S.DONE, _A.END_LATE),
        _H.WITHDRAWN: (_S.DONE, _A.END_LATE),
        _H.NOT_STARTED: (_S.DONE, _A.END_LATE),
        _H.FULL: (_S.DONE, _A.END_FULL),
        _H.UNAVAILABLE: (_S.DONE, _A.END_UNAVAILABLE),
        _H.UNKNOWN: (_S.OVERDUE, _A.NOTHING),  # it waits for an adoption already
        _H.WAIT_OVER: (_S.DONE, _A.END_UNKNOWN),
        _H.REDIS_EMPTY: (_S.OVERDUE, _A.NOTHING),
        _H.LEFT: (_S.DONE, _A.NOTHING),  # an adoption that comes is a stray, and is told so
    },
    _S.OWNED: {
        _H.NOT_STARTED: (_S.QUEUED, _A.OPEN_AGAIN),
        _H.HANDED_OFF: (_S.QUEUED, _A.OPEN_AGAIN),
        _H.ENDED: (_S.DONE, _A.END_AS_TOLD),
        _H.OWNER_DIED: (_S.DONE, _A.END_DIED),  # but if it is replayable: see `transition`
        _H.STOPPED: (_S.DONE, _A.END_AS_TOLD),  # the same
        _H.REDIS_EMPTY: (_S.OWNED, _A.NOTHING),  # `sync` decides
        _H.GAP: (_S.DONE, _A.END_PACKETS_LOST),
        _H.OUTAGE: (_S.DONE, _A.END_OUTAGE),  # who is queued has a wait of its own
        _H.LEFT: (_S.DONE, _A.CANCEL_OWNER),
        _H.COMPLETE: (_S.DONE, _A.NOTHING),
        # The answers about our way to the owner come after it: late, ordinary, and without meaning.
        _H.FULL: (_S.OWNED, _A.NOTHING),
        _H.UNAVAILABLE: (_S.OWNED, _A.NOTHING),
        _H.UNKNOWN: (_S.OWNED, _A.NOTHING),
        _H.WITHDRAWN: (_S.OWNED, _A.NOTHING),
    },
    _S.DONE: dict.fromkeys(Trigger, (_S.DONE, _A.NOTHING)),
}


class IllegalMove(Exception):
    """A happening for which the table has no place: an error in this program, whoever's packet brought it to light."""


class Order(Enum):
    """What a packet's sequence number says."""

    __hash__ = object.__hash__  # by identity; Enum's own is Python code, and stands in every look-up

    NEXT = auto()
    SEEN = auto()  #: sent again after a doubt: drop it
    GAP = auto()


# A member of an Enum is found by a slow way through its class: these stand on the way of every request.
_QUEUED, _OWNED, _DONE = State.QUEUED, State.OWNED, State.DONE
_UNKNOWN, _ADOPTED = Trigger.UNKNOWN, Trigger.ADOPTED
_OWNER_DIED, _STOPPED, _REDIS_EMPTY = Trigger.OWNER_DIED, Trigger.STOPPED, Trigger.REDIS_EMPTY
_OPEN_AGAIN = Action.OPEN_AGAIN
_NEXT, _SEEN, _GAP = Order.NEXT, Order.SEEN, Order.GAP


#: How many owners may die under one connection before its client hears of it (an open WebSocket: within a minute). A request
#: that kills must not kill them all.
DEATHS_MAX = 2
DEATHS_REMEMBERED_S = 60.0
#: How much of a body is kept for another start, once the first instance has begun to take it.
REPLAY_SIZE_BYTES_MAX = 65_536


class Connection:
    """One connection. `epoch` grows with each owner; sequence numbers and windows begin anew with it."""

    __slots__ = (
        "accepted",
        "accepted_here",
        "came",
        "deaths",
        "delivered_bytes",
        "epoch",
        "expects_continue",
        "halted",
        "incoming",
        "kept",
        "kept_bytes",
        "kind",
        "may_start_twice",
        "number",
        "opening",
        "outgoing",
        "owner",
        "placed",
        "received",
        "resumable",
        "sent",
        "started",
        "state",
        "state_blob",
        "tie",
        "waiting",
        "waiting_bytes",
    )

    def __init__(
        self, number: int, scope: Scope, body: bytes, more_body: bool, window: int, expects_continue: bool
    ) -> None:
        self.number = number
        self.epoch = 1
        self.state = _QUEUED
        self.owner: str | None = None
        self.kind: str = scope.event["type"]
        self.tie: Tie | None = None  # to the worker that its client had before
        self.may_start_twice = self.kind != "http" or scope.event["method"] in IDEMPOTENT
        self.expects_continue = expects_continue
        self.deaths: tuple[float, ...] = ()
        self.delivered_bytes = 0  # WebSocket: what its client was given in this epoch, or what was swallowed
        self.accepted = False  # WebSocket: its client has been accepted, by whichever instance
        self.accepted_here = False  # by the instance of this epoch
        self.resumable: bool | str = False  # True, or "crash": after a crash too
        self.state_blob: object = None  # what its instance left for the next one
        self.started = False  # the instance of this epoch has consumed something
        #: What the instance was opened with; kept as long as it may have to be opened again.
        self.opening: Opening | None = (scope.pieces, body, more_body)
        #: Events that were forwarded in this epoch, kept as long as `opening`.
        self.kept: list[tuple[Event, int]] | None = None
        self.kept_bytes = 0
        #: Events from the client for which there was no owner or no room.
        self.waiting: list[tuple[Event, int]] | None = None
        self.waiting_bytes = 0
        self.halted = False  # the client's side was told that there is no room
        self.sent = self.received = 0
        self.placed = self.came = 0  # of what its instance says by the layer: in its packets, and to groups
        self.outgoing = Outgoing(0)
        self.incoming = Incoming(window)

    def transition(self, trigger: Trigger) -> Action:
        """Move by the table and return what has to be done."""
        if self._opens_again(trigger):
            action = _OPEN_AGAIN  # nobody minds a second start: the first is a stray from now on
            self.state = _QUEUED
        else:
            move = MOVES[self.state].get(trigger)
            if move is None:
                raise IllegalMove(f"{trigger.name} while {self.state.name}")
            self.state, action = move
        if action is _OPEN_AGAIN:
            self._next_epoch()
        return action

    def _opens_again(self, trigger: Trigger) -> bool:
        """Is this a happening that the table leaves to judgement, and does it lead to another start?"""
        if trigger is _UNKNOWN or trigger is _REDIS_EMPTY:
            return self.state is _QUEUED and self.may_start_twice
        if trigger is _OWNER_DIED or trigger is _STOPPED:
            return self.state is _OWNED and self.replayable and not (self.accepted and trigger is _STOPPED)
        return False

    def owner_died(self, now: float, mid_message: bool = False) -> Action:
        """Its owner is dead. now: monotonic seconds. torn: in the middle of a message to the client, which no other can finish."""
        if self.accepted:
            if mid_message:
                self.resumable = False  # whatever the next owner said would be the end of that message
            self.kept = None  # each event at most once: what the dead instance had is not repeated
            self.deaths = tuple(at for at in self.deaths if now - at < DEATHS_REMEMBERED_S)
        action = self.transition(_OWNER_DIED)
        self.deaths += (now,)
        return action

    @property
    def replayable(self) -> bool:
        """May another worker start it, its owner being lost? Its client has seen nothing then, or has asked for that."""
        if self.accepted and self.resumable != "crash":
            return False
        return self.may_start_twice and self.opening is not None and len(self.deaths) < DEATHS_MAX

    def adopted(self, owner: str, window: int) -> Action:
        """The take script told us who owns this epoch, and how much it takes."""
        self.outgoing.allow(window)  # first: what is no number raises here, and nothing has happened
        self.owner = owner
        return self.transition(_ADOPTED)

    def is_from_owner(self, sender: str, epoch: int) -> bool:
        """Is this the word of the current owner? P2."""
        return self.owner == sender and self.epoch == epoch and self.state is _OWNED

    def order(self, sequence: int) -> Order:
        """Is this the next packet of the owner? If so it counts as received. P1."""
        if sequence == self.received + 1:
            self.received = sequence
            return _NEXT
        return _SEEN if sequence <= self.received else _GAP

    def takes(self) -> None:
        """The instance consumes: it was started. What must not start twice is not kept any longer, nor what is too long."""
        self.started = True
        if not self.may_start_twice or (self.kept_bytes > REPLAY_SIZE_BYTES_MAX and not self.resumable):
            self.forget_opening()

    def screen(self, events: list[Event]) -> list[Event]:
        """What of an instance's events its WebSocket's client is to see: not a second accept, and not what is for us."""
        shown = []
        for event in events:
            kind = event["type"]
            if kind == "websocket.accept":
                self.accepted_here = True
                self.resumable = event.get("resumable", False)
                if not self.accepted:
                    shown.append(event)
                self.accepted = True
            elif kind == "towpath.state":
                self.state_blob = event["state"]
            else:
                shown.append(event)
        if not self.resumable:
            self.forget_opening()
        return shown

    def consumed(self, sequence: int) -> None:
        """The instance has received our events up to `sequence`: the next one of an open WebSocket goes on behind them.

        A request that has to be started again is started from its beginning, and keeps them.
        """
        if self.kept and self.accepted:
            done = sequence - (self.sent - len(self.kept))
            if done > 0:
                self.kept_bytes -= sum(size for _, size in self.kept[:done])
                del self.kept[:done]

    def hand_off(self, consumed: int, mid_message: bool = False) -> Action:
        """The owner asks for another one, having received our events up to `consumed`. torn: as for `owner_died`."""
        if mid_message or not (self.accepted_here and self.resumable):
            return self.transition(Trigger.ENDED)
        self.consumed(consumed)
        return self.transition(Trigger.HANDED_OFF)

    def forget_opening(self) -> None:
        """It will not be opened again: its client has seen something, or too much was forwarded."""
        self.opening = None
        self.kept = None

    def offer(self, event: Event, size_bytes: int) -> bool:
        """An event from the client: may it go now (True, and it counts as sent), or does it wait?"""
        if self.state is _OWNED and not self.waiting and self.outgoing.room:
            self._count(event, size_bytes)
            return True
        if self.waiting is None:
            self.waiting = []
        self.waiting.append((event, size_bytes))
        self.waiting_bytes += size_bytes
        return False

    def next_waiting(self) -> Event | None:
        """The next event that waited and may go now, counted as sent."""
        if not self.waiting or not self.outgoing.room or self.state is not _OWNED:
            return None
        event, size_bytes = self.waiting.pop(0)
        self.waiting_bytes -= size_bytes
        self._count(event, size_bytes)
        return event

    @property
    def room(self) -> bool:
        """May the client's side go on reading?

        Between two owners an open WebSocket has a window here, as it had one with its owner: who is not read gets no answer to
        its pings and its close, and nobody hears it leave.
        """
        if self.state is _OWNED:
            return not self.waiting and self.outgoing.room
        return self.accepted and self.state is not _DONE and self.waiting_bytes < self.incoming.window

    @property
    def has_last_words(self) -> bool:
        """Between two owners: has the client of an open WebSocket said what nobody has received? One that closes is heard out."""
        return self.accepted and self.state is _QUEUED and bool(self.waiting)

    def _count(self, event: Event, size_bytes: int) -> None:
        self.outgoing.sent += size_bytes
        self.sent += 1
        if self.opening is not None:
            if self.kept is None:
                self.kept = []
            self.kept.append((event, size_bytes))
            self.kept_bytes += size_bytes
            if self.started and self.kept_bytes > REPLAY_SIZE_BYTES_MAX and not self.resumable:
                self.forget_opening()

    def _next_epoch(self) -> None:
        """Begin anew: what was forwarded and not consumed stands in front of what waits."""
        self.epoch += 1
        self.owner = None
        self.waiting = (self.kept or []) + (self.waiting or [])
        self.waiting_bytes = sum(size for _, size in self.waiting)
        self.kept = None
        self.kept_bytes = 0
        self.started = self.accepted_here = False
        self.sent = self.received = 0
        self.placed = self.came = 0
        self.outgoing = Outgoing(0)
        self.incoming = Incoming(self.incoming.window, self.delivered_bytes - self.incoming.consumed)
        self.delivered_bytes = 0
