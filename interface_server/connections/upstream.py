"""One connection's line from its client to the wire: obeys what `connection.py` decides.

It is the connection itself with a hand on either side: `client` holds the socket, `services` lead to workers and to Redis. One
object per connection, for the sake of its memory.
"""

from __future__ import annotations

from collections.abc import MutableMapping

from channel_layer.messaging.channel_writer import ChannelWriter, Outcome
from channel_layer.protocol import packets
from channel_layer.protocol.close_codes import ABNORMAL
from channel_layer.protocol.events import Event
from channel_layer.protocol.names import reply_channel
from channel_layer.protocol.packets import Cancel, Close, Refusal
from channel_layer.protocol.scope import Scope
from channel_layer.redis.connection import Answer
from interface_server.connections.closed_client import ClosedClient
from interface_server.connections.connection import Action, Connection, State, Trigger
from interface_server.connections.interfaces import Client, EndReason
from interface_server.connections.services import ConnectionServices

_HAPPENING_OF_OUTCOME = {
    Outcome.FULL: Trigger.FULL,
    Outcome.UNAVAILABLE: Trigger.UNAVAILABLE,
    Outcome.UNKNOWN: Trigger.UNKNOWN,
}

_ENDING_OF_ACTION = {
    Action.END_FULL: EndReason.FULL,
    Action.END_LATE: EndReason.LATE,
    Action.END_UNAVAILABLE: EndReason.UNAVAILABLE,
    Action.END_DIED: EndReason.DIED,
    Action.END_UNKNOWN: EndReason.UNKNOWN,
    Action.END_PACKETS_LOST: EndReason.PACKETS_LOST,
    Action.END_OUTAGE: EndReason.OUTAGE,
}
#: Said of who asks to be let in. Who is open already is told to come again.
_NOT_LET_IN = frozenset((Action.END_FULL, Action.END_LATE, Action.END_UNAVAILABLE))
#: What the owner is told of an end that he cannot know of.
_LAST_WORD = {Action.END_PACKETS_LOST: Cancel.PACKETS_LOST, Action.END_OUTAGE: Cancel.LEFT}

#: By the number in a `close` packet: what its client learns.
ENDING_OF_CLOSE = {
    Close.FINISHED: EndReason.FINISHED,
    Close.FAILED: EndReason.FAILED,
    Close.STOPPING: EndReason.STOPPING,
    Close.UNKNOWN: EndReason.UNKNOWN,
}

#: Any other: the worker was too late.
HAPPENING_OF_REFUSAL = {
    int(Refusal.ERA): Trigger.REDIS_EMPTY,
    int(Refusal.NOT_TAKEN): Trigger.NOT_STARTED,
    int(Refusal.LEAVING): Trigger.NOT_STARTED,
}

#: Code and reason of a client that went without a word.
LOST = (ABNORMAL, "")

_OWNED, _DONE, _FLOW = State.OWNED, State.DONE, Action.FLOW  # see connection.py


class UpstreamConnection(Connection):
    """Implements `Upstream` for the client's side and `EnqueueListener` for the opener."""

    __slots__ = ("client", "entry_id", "entry_size", "leaving", "opener", "services")

    def __init__(
        self,
        services: ConnectionServices,
        client: Client,
        number: int,
        scope: Scope,
        body: bytes,
        more_body: bool,
        window: int,
        expects: bool,
    ) -> None:
        super().__init__(number, scope, body, more_body, window, expects)
        self.services = services
        self.client = client
        self.opener: ChannelWriter  # the way on which it was queued last
        self.entry_id: bytes | None = None  # on the shared channel, once it is known
        self.entry_size = 0
        self.leaving = LOST

    @property
    def channel(self) -> str:
        """The reply channel."""
        return reply_channel(self.services.name, self.number)

    # -- from the client's side

    @property
    def owned(self) -> bool:
        """See `Upstream.owned`."""
        return self.state is _OWNED

    def forward(self, event: Event, size_bytes: int) -> bool:
        """See `Upstream.forward`."""
        if self.offer(event, size_bytes):
            self._post(event)
            if self.outgoing.room:
                return True
        elif self.room:
            return True
        self.halted = True
        return False

    def delivered(self, size_bytes: int) -> None:
        """See `Upstream.delivered`."""
        if self.owner is None:
            self.incoming.consumed += size_bytes  # between two owners: the next one is told
            return
        total = self.incoming.consume(size_bytes, self.services.budget)
        if total is not None:
            self.services.post(self.owner, packets.credit(self.number, self.epoch, total, self.received))

    def credit_again(self) -> None:
        """After a doubt: a credit that was lost is followed by no other, if the application waits for it."""
        if self.owner is not None:
            self.services.post(self.owner, packets.credit(self.number, self.epoch, self.incoming.told, self.received))

    def leave(self, code: int = ABNORMAL, reason: str = "") -> None:
        """See `Upstream.leave`."""
        self.leaving = (code, reason)
        if code != ABNORMAL and self.has_last_words and not self.services.draining:
            self.client, self.halted = ClosedClient(self), True
            self.incoming.consumed = self.delivered_bytes  # what was on its way when it closed is in nobody's hands
            return
        self.perform(self.transition(Trigger.LEFT))

    def complete(self) -> None:
        """See `Upstream.complete`."""
        if self.state is _OWNED:  # the common end by the short way: as the table says, and nobody has to be told
            self.state = _DONE
            self.services.forget(self)
        else:
            self.perform(self.transition(Trigger.COMPLETE))

    # -- of a client that has closed

    @property
    def counters(self) -> MutableMapping[str, int]:
        """See `EndingConnection.counters`."""
        return self.services.counters

    def await_accept(self) -> None:
        """See `EndingConnection.await_accept`."""
        self.services.after_accept_timeout(self._accept_overdue, self.epoch)

    def _accept_overdue(self, epoch: int) -> None:
        if epoch == self.epoch and self.state is _OWNED and not self.accepted_here:
            self.perform(self.transition(Trigger.LEFT))

    def leave_if_heard_out(self) -> None:
        """See `EndingConnection.leave_if_heard_out`."""
        if self.accepted_here and not self.waiting:
            self.perform(self.transition(Trigger.LEFT))

    # -- from the wire

    def waits(self, epoch: int) -> bool:
        """See `EnqueueListener.waits`."""
        return epoch == self.epoch and self.state is not _DONE

    def opened(self, epoch: int, outcome: bytes | Outcome) -> None:
        """The answer to `open`."""
        if epoch != self.epoch:
            return
        if isinstance(outcome, Outcome):
            self.perform(self.transition(_HAPPENING_OF_OUTCOME[outcome]))
            return
        self.entry_id = outcome
        if self.state in (_DONE, State.OVERDUE):
            self._withdraw()  # the client left, or its wait was over, before we knew what to withdraw
        elif self.opener.abandoned and self.state is State.QUEUED:
            self.seek()  # the worker whose channel this is died in between

    def flow(self) -> None:
        """There is an owner, or none any more, or there is room again: send what may go, then let the client's side go on."""
        while (event := self.next_waiting()) is not None:
            self._post(event)
        if self.halted and isinstance(self.client, ClosedClient):
            self.leave_if_heard_out()
        elif self.halted and self.room:
            self.halted = False
            self.client.resume()

    def credited(self, total: int, consumed: int) -> None:
        """The worker's application has consumed our events up to a sequence, or asked for the first time."""
        self.takes()
        self.consumed(consumed)
        self.outgoing.allow(total)
        if self.expects_continue:
            self.expects_continue = False
            self.client.wanted()
        self.flow()

    def perform(self, action: Action, end_reason: EndReason | None = None) -> None:
        """Do what the table says."""
        if action is _FLOW:
            self.services.adopted(self)
            if self.kind == "websocket" or self.services.answer_may_be_late:
                self.client.adopted()
            if self.epoch > 1:
                self.delivered(0)  # what the client has taken since we were queued
            if self.waiting or self.halted:
                self.flow()
            return
        if action is Action.OPEN_AGAIN:
            self.services.queue.put_again(self)
            if self.halted:
                self.flow()
            return
        if action is Action.AWAIT:
            self.services.queue.doubt(self)
        elif action is Action.WITHDRAW:
            self._withdraw()
        elif action is Action.CANCEL_OWNER:
            self._tell_owner(packets.cancel(self.number, self.epoch, Cancel.LEFT, *self.leaving))
        if self.state is _DONE:
            self.services.forget(self)
            self._end(action, end_reason)

    def wait_over(self) -> None:
        """See `QueuedConnection.wait_over`."""
        self.perform(self.transition(Trigger.WAIT_OVER))

    def queue_lost(self) -> None:
        """See `QueuedConnection.queue_lost`."""
        self.perform(self.transition(Trigger.REDIS_EMPTY))

    def seek(self) -> None:
        """Redis has lost data. If our entry is there all the same we take it back: then surely nobody else has it, nor ever will."""
        if self.entry_id is None:
            self.perform(self.transition(Trigger.REDIS_EMPTY))
        else:
            self._withdraw(if_gone=Trigger.REDIS_EMPTY)

    def abort(self) -> None:
        """Nobody knows any more how it stands: it ends visibly, on both sides, whatever the table says."""
        if self.state is not _DONE:
            self.state = _DONE
            self.services.forget(self)
            self._end(Action.END_PACKETS_LOST, None)

    def _end(self, action: Action, end_reason: EndReason | None) -> None:
        if action in _LAST_WORD:
            self._tell_owner(packets.cancel(self.number, self.epoch, _LAST_WORD[action]))
        if action is Action.END_AS_TOLD:
            self.client.end(end_reason or EndReason.FAILED)
        elif self.accepted and action in _NOT_LET_IN:
            self.client.end(EndReason.STOPPING)
        elif action in _ENDING_OF_ACTION:
            self.client.end(_ENDING_OF_ACTION[action])

    def _post(self, event: Event) -> None:
        assert self.owner is not None
        self.services.post(self.owner, packets.data(self.number, self.epoch, self.sent, [event]))

    def _tell_owner(self, packet: packets.Packet) -> None:
        if self.owner is not None:
            self.services.post(self.owner, packet)

    def _withdraw(self, if_gone: Trigger | None = None) -> None:
        """Take our entry out of the queue, if it is there and we know where."""
        if self.entry_id is None:
            return
        epoch = self.epoch

        def answered(answer: Answer) -> None:
            trigger = Trigger.WITHDRAWN if answer == 1 else if_gone
            if trigger is not None and epoch == self.epoch:
                self.perform(self.transition(trigger))

        self.services.queue.withdraw(self, self.entry_id, answered)
