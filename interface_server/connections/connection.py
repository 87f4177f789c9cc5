"""One connection at the interface server: its owner, its state, and the events that it keeps for another start.

When its owner dies it is opened again if it is `replayable`: its client has seen nothing, a second start does no harm, and
everything that the first instance received is still here. Else it ends visibly.

A connection that is DONE is removed at once. Packets that still come for it are *stale*: they change nothing, and their sender is
answered (`is_from_owner`). PROTOCOL.md, "The life of a connection"; promises P1, P2, P3.
"""

from __future__ import annotations

from typing import Final

from channel_layer.protocol.events import Event
from channel_layer.protocol.flow_control import Incoming, Outgoing
from channel_layer.protocol.illegal_move import IllegalMove
from channel_layer.protocol.link import Link
from channel_layer.protocol.packets import Packet
from channel_layer.protocol.scope import Piece, Scope
from interface_server.affinity.affinity import Tie
from interface_server.connections.acceptance import (
    ACCEPTANCE_MOVES,
    RESUME_MOVES,
    Acceptance,
    ResumePolicy,
    Step,
    after,
    step_of_accept,
)
from interface_server.connections.transitions import (
    MAY_REQUEUE,
    MOVES,
    REQUEUED,
    Action,
    ConnectionState,
    Trigger,
)

#: What a client's side opens a connection with: the scope, the first part of the body, whether more follows, and whether the client
#: waits for `100 Continue`. A plain tuple, as one is made for each request.
Request = tuple[Scope, bytes, bool, bool]
#: A scope's pieces, the first part of the body, and whether more follows.
Opening = tuple[list[Piece], bytes, bool]

#: Methods that may be started twice (RFC 9110, 9.2.2), as far as nothing of the body is lost.
IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})


# A member of an Enum is found by a slow way through its class: these stand on the way of every request.
_QUEUED: Final = ConnectionState.QUEUED
_OWNED: Final = ConnectionState.OWNED
_DONE: Final = ConnectionState.DONE
_ADOPTED: Final = Trigger.ADOPTED
_OWNER_DIED: Final = Trigger.OWNER_DIED
_STOPPED: Final = Trigger.STOPPED
_OPEN_AGAIN: Final = Action.OPEN_AGAIN
_PENDING: Final = Acceptance.PENDING
_ACCEPTED: Final = Acceptance.ACCEPTED
_EVENT_STREAM: Final = Acceptance.EVENT_STREAM
_NEVER: Final = ResumePolicy.NEVER
_AFTER_CRASH: Final = ResumePolicy.AFTER_CRASH

#: How many owners of one connection may die before it ends (of an open WebSocket: within a minute). A request that kills its worker
#: must not kill all of them.
DEATHS_MAX: Final = 2
DEATHS_REMEMBERED_S: Final = 60.0
#: How much of a body is kept for another start, once the first instance has begun to take it.
REPLAY_SIZE_BYTES_MAX: Final = 65_536


class Connection(Link):
    """One connection. `epoch` grows with each owner; sequence numbers and windows begin anew with it."""

    __slots__ = (
        "acceptance", "came", "deaths", "delivered_bytes", "expects_continue", "kept", "kept_bytes", "kind", "may_start_twice", "opening",
        "owner", "placed", "requeued_by", "resume_policy", "sent_directly", "started", "state", "state_blob", "tie", "waiting",
        "waiting_bytes",
    )  # fmt: skip

    def __init__(self, number: int, request: Request, window: int) -> None:
        """window: how many bytes the client's side takes at first."""
        Link.__init__(self, number, 1, Outgoing(0), Incoming(window))  # `super()` would cost each request an object
        scope, body, more_body, self.expects_continue = request
        event = scope.event
        self.state = _QUEUED
        self.owner: str | None = None
        self.kind: str = event["type"]
        self.requeued_by: Trigger  # why its last epoch is over, if that was not its first
        self.tie: Tie | None = None  # to the worker that its client had before
        self.may_start_twice = self.kind != "http" or event["method"] in IDEMPOTENT
        self.deaths: tuple[float, ...] = ()
        self.delivered_bytes = 0  # WebSocket: what its client was given in this epoch, or what was dropped
        self.acceptance = _PENDING
        self.resume_policy = _NEVER  # as the last accept asked for
        self.state_blob: object = None  # what its instance left for the next one
        self.started = False  # the instance of this epoch has consumed something
        self.sent_directly = False  # to its owner, which had invited it
        #: What the instance was opened with; kept as long as it may have to be opened again.
        self.opening: Opening | None = (scope.pieces, body, more_body)
        #: Events that were forwarded in this epoch, kept as long as `opening`.
        self.kept: list[tuple[Event, int]] | None = None
        self.kept_bytes = 0
        #: Events from the client for which there was no owner or no credit.
        self.waiting: list[tuple[Event, int]] | None = None
        self.waiting_bytes = 0
        # Messages that its instance sends by the layer: places in its packets, and messages to groups that came.
        self.placed = self.came = 0

    @property
    def accepted(self) -> bool:
        """True if the client of a WebSocket has been accepted, by whichever instance."""
        return self.acceptance is not _PENDING and self.acceptance is not _EVENT_STREAM

    @property
    def takes_pushes(self) -> bool:
        """True if messages of groups and third parties may go to the client: it is accepted, or its event stream has begun."""
        return self.acceptance is not _PENDING

    @property
    def accepted_here(self) -> bool:
        """True if the instance of this epoch has accepted it."""
        return self.acceptance is _ACCEPTED

    def transition(self, trigger: Trigger) -> Action:
        """Move by the table and return what has to be done."""
        if trigger in MAY_REQUEUE and self._is_requeued_by(trigger):
            self.state, action = REQUEUED  # a second start does no harm: packets of the first are stale from now on
        else:
            move = MOVES[self.state].get(trigger)
            if move is None:
                raise IllegalMove(f"{trigger.name} while {self.state.name}")
            self.state, action = move
        if action is _OPEN_AGAIN:
            self.requeued_by = trigger
            self._next_epoch()
        return action

    def _is_requeued_by(self, trigger: Trigger) -> bool:
        """True if this trigger, one of MAY_REQUEUE, requeues the connection now."""
        if self.state is not MAY_REQUEUE[trigger]:
            return False
        if self.state is _QUEUED:
            return self.may_start_twice
        return self.replayable and not (self.accepted and trigger is _STOPPED)

    def owner_died(self, now: float, mid_message: bool = False, never_began: bool = False) -> Action:
        """Its owner is dead.

        now: monotonic seconds. mid_message: a message is incomplete, and no other owner can finish it. never_began: nothing was started.
        """
        if never_began:
            return self.transition(Trigger.NOT_STARTED)
        if self.accepted:
            if mid_message:
                self._step(Step.MESSAGE_CUT)  # the next owner's first event would continue that message
            self.kept = None  # each event at most once: what the dead instance had is not repeated
            self.deaths = tuple(at for at in self.deaths if now - at < DEATHS_REMEMBERED_S)
        action = self.transition(_OWNER_DIED)
        self.deaths += (now,)
        return action

    @property
    def replayable(self) -> bool:
        """True if another worker may start it after its owner was lost.

        Its client has seen nothing, or its application asked for that; and it has not lost too many owners.
        """
        if self.acceptance is not _PENDING and self.resume_policy is not _AFTER_CRASH:
            return False
        return self.may_start_twice and self.opening is not None and len(self.deaths) < DEATHS_MAX

    def adopt(self, owner: str, window: int) -> Action:
        """Make `owner` the owner of this epoch, as the take script has, with a window of so many bytes."""
        self.outgoing.allow(window)  # first: a value that is no number raises here, before anything has changed
        self.owner = owner
        return self.transition(_ADOPTED)

    def is_from_owner(self, sender: str, epoch: int) -> bool:
        """True if the current owner has sent this. P2."""
        return self.owner == sender and self.epoch == epoch and self.state is _OWNED

    def takes(self) -> None:
        """Record that the application has started to consume this request.

        A request that is not idempotent can no longer be replayed, so its body is dropped; so is one above REPLAY_SIZE_BYTES_MAX.
        """
        self.started = True
        if not self.may_start_twice or (self.kept_bytes > REPLAY_SIZE_BYTES_MAX and self.resume_policy is _NEVER):
            self.drop_opening()

    def filter_events(self, events: list[Event]) -> list[Event]:
        """Return the events that go on to the client of a WebSocket: not a second accept, nor what is for the interface server."""
        shown = []
        for event in events:
            kind = event["type"]
            if kind == "websocket.accept":
                if self.acceptance is _PENDING:
                    shown.append(event)
                if self.acceptance is not _ACCEPTED:
                    self._step(step_of_accept(event.get("resumable", False)))
            elif kind == "towpath.state":
                self.state_blob = event["state"]
            else:
                shown.append(event)
        if self.resume_policy is _NEVER and self.opening is not None:
            self.drop_opening()
        return shown

    def _step(self, step: Step) -> None:
        self.acceptance = after(ACCEPTANCE_MOVES, self.acceptance, step)
        self.resume_policy = after(RESUME_MOVES, self.resume_policy, step)

    def stream_began(self) -> None:
        """Record that the response of an HTTP exchange has begun, and that it is an event stream."""
        self._step(Step.STREAM_BEGAN)

    def consumed(self, sequence: int) -> None:
        """Drop the kept events up to `sequence`: the next instance of an open WebSocket goes on behind them.

        A request that has to be started again is started from its beginning, and keeps them.
        """
        if self.kept and self.accepted:
            done = sequence - (self.sent - len(self.kept))
            if done > 0:
                self.kept_bytes -= sum(size for _, size in self.kept[:done])
                del self.kept[:done]

    def hand_off(self, consumed: int, mid_message: bool = False) -> Action:
        """Let another worker own it, as its owner asks. consumed: the last event that it received. mid_message: as for `owner_died`."""
        if mid_message or self.acceptance is not _ACCEPTED or self.resume_policy is _NEVER:
            return self.transition(Trigger.ENDED)
        self.consumed(consumed)
        return self.transition(Trigger.HANDED_OFF)

    def drop_opening(self) -> None:
        """Drop what another start would need: its client has seen something, or too much was forwarded."""
        self.opening = self.kept = None

    def offer(self, event: Event, size_bytes: int) -> Packet | None:
        """Take an event from the client. Returns its packet, if it may go now; None: it waits."""
        if self.state is _OWNED and not self.waiting and self.outgoing.has_credit:
            return self._packet(event, size_bytes)
        if self.waiting is None:
            self.waiting = []
        self.waiting.append((event, size_bytes))
        self.waiting_bytes += size_bytes
        return None

    def next_waiting(self) -> Packet | None:
        """The packet of the next event that waited and may go now."""
        if not self.waiting or not self.outgoing.has_credit or self.state is not _OWNED:
            return None
        event, size_bytes = self.waiting.pop(0)
        self.waiting_bytes -= size_bytes
        return self._packet(event, size_bytes)

    @property
    def may_read(self) -> bool:
        """True if the client's side may go on reading.

        Between two owners an open WebSocket has a window here, as it had one with its owner. A client that is not read would get no
        answer to its pings and its close, and its departure would not be noticed.
        """
        if self.state is _OWNED:
            return not self.waiting and self.outgoing.has_credit
        return self.accepted and self.state is not _DONE and self.waiting_bytes < self.incoming.window

    @property
    def has_undelivered_events(self) -> bool:
        """True if an open WebSocket is between two owners and events of its client wait. They are delivered even after it closes."""
        return self.accepted and self.state is _QUEUED and bool(self.waiting)

    def _packet(self, event: Event, size_bytes: int) -> Packet:
        self.outgoing.sent += size_bytes
        if self.opening is not None:
            if self.kept is None:
                self.kept = []
            self.kept.append((event, size_bytes))
            self.kept_bytes += size_bytes
            if self.started and self.kept_bytes > REPLAY_SIZE_BYTES_MAX and self.resume_policy is _NEVER:
                self.drop_opening()
        return self.data([event])

    def _next_epoch(self) -> None:
        """Begin the next epoch. Events that were forwarded and not consumed come before those that wait."""
        outstanding = self.delivered_bytes - self.incoming.consumed
        self.begin_epoch(Outgoing(0), Incoming(self.incoming.window, outstanding))
        self.owner = None
        self.waiting = (self.kept or []) + (self.waiting or [])
        self.waiting_bytes = sum(size for _, size in self.waiting)
        self.kept = None
        self.kept_bytes = 0
        self.started = False
        self._step(Step.NEXT_EPOCH)
        self.placed = self.came = 0
        self.delivered_bytes = 0
