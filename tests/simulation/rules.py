"""The rules of the Redis protocol, each with a way to switch it off: what the simulation is worth is what it finds without them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import interface_server.connections.dispatcher as interface_dispatcher
from channel_layer.liveness.failure_detector import FailureDetector
from channel_layer.liveness.lease import OwnLease
from channel_layer.loop.loop_layer import NO_ORIGIN, LoopLayer
from channel_layer.messaging.channel_writer import ON_ANSWER, ChannelWriter, Outcome
from channel_layer.messaging.group_counters import GroupCounters
from channel_layer.messaging.inbox import BEYOND, Inbox, parse_id
from channel_layer.messaging.outbox import Outbox
from channel_layer.node import Node
from channel_layer.protocol.close_codes import ABNORMAL
from channel_layer.protocol.flow_control import Incoming
from channel_layer.protocol.link import Order
from channel_layer.protocol.packets import Close
from channel_layer.redis import connection as redis_connection
from channel_layer.redis.connection import RedisConnection
from interface_server.connections import connection
from interface_server.connections.acceptance import Acceptance
from interface_server.connections.connection import Connection
from interface_server.connections.pending_queue import PendingQueue
from interface_server.connections.transitions import MOVES, Action, ConnectionState, Trigger
from interface_server.connections.upstream import UpstreamConnection
from interface_server.groups import delivery_order
from interface_server.groups.deliveries import Deliveries
from interface_server.groups.interfaces import PushedMessage
from tests.simulation.rules_between import BETWEEN
from tests.simulation.rules_direct import DIRECT
from worker.connections.adoption import Adoption
from worker.connections.dispatcher import Dispatcher as WorkerDispatcher
from worker.connections.downstream import DownstreamConnection
from worker.connections.queue_consumer import Admission, ChannelConsumer, QueueConsumer

Patch = tuple[Any, str, Any]


def _forget_the_way_alone(self: PendingQueue, worker: str) -> None:
    if self._own is not None:
        self._own.died(worker)


async def _stop_taking_without_a_word(self: QueueConsumer) -> None:
    """What waits for this worker alone goes on waiting."""
    self.admission = Admission.DRAINING
    for reader in self._readers():
        await reader.close()


def _every_packet_is_next(self: Connection, sequence: int) -> Order:
    self.received = sequence
    return Order.NEXT


def _worker_delivers_all(self: DownstreamConnection, sequence: int, events: list[Any]) -> None:
    self.received = sequence - 1
    _worker_data(self, sequence, events)


_worker_data = DownstreamConnection.on_data


def _is_from_any_sender(self: Connection, sender: str, epoch: int) -> bool:
    return self.epoch == epoch and self.state is ConnectionState.OWNED


def _is_of_any_epoch(self: Connection, sender: str, epoch: int) -> bool:
    return self.owner == sender and self.state is ConnectionState.OWNED


def _take_again(self: Adoption, key: Any, now: float) -> None:
    self._under_way.pop(key, None)


def _start_what_was_not_answered(self: QueueConsumer, entries: list[Any]) -> None:
    """A worker that says nothing about a take without an answer."""
    for entry in entries:
        self.adoption.unanswered(entry.key, self._loop.time())


def _open_once_more(self: ChannelWriter, batch: Any, answer: Any) -> None:
    if isinstance(answer, Exception) and not isinstance(answer, KeyError) and self._connection is not None:
        self._flush_state = ON_ANSWER[self._flush_state]
        self._requeueing[:0] = batch  # as client libraries do by themselves: again, as soon as there is a connection
        return
    _writer_answered(self, batch, answer)


_writer_answered = ChannelWriter._answered


def _forget_what_is_under_way(self: Outbox, connection: Any) -> None:
    for destination in self._destinations.values():
        destination.under_way = []
    _outbox_connected(self, connection)


_outbox_connected = Outbox.connected


def _queue_again_in_the_same_epoch(self: Connection) -> None:
    self.owner = None
    self.waiting = (self.kept or []) + (self.waiting or [])
    self.kept = None
    self.sent = self.received = 0


def _post_again_after_unknown(self: Connection, trigger: Trigger) -> Action:
    if trigger is Trigger.UNKNOWN and self.state is ConnectionState.QUEUED:
        self._next_epoch()
        return Action.OPEN_AGAIN
    return _transition(self, trigger)


_transition = Connection.transition


def _forget_what_was_forwarded(self: Connection) -> None:
    self.kept = None
    _next_epoch(self)


_next_epoch = Connection._next_epoch


async def _read_nothing_up(self: Inbox, connection: Any) -> None:
    """Act on a death at once."""


async def _check_no_lease(self: FailureDetector, watched: list[str]) -> None:
    """No lease is looked at."""


def _nothing(*_: Any) -> None:
    """The rule's deed is not done."""


def _opened_without_withdrawing(self: UpstreamConnection, epoch: int, outcome: Any) -> None:
    if isinstance(outcome, Outcome) or self.connection.state is not ConnectionState.DONE:
        _opened(self, epoch, outcome)


_opened = UpstreamConnection.opened


async def _connect_and_trust(address: Any, on_lost: Any, on_push: Any) -> RedisConnection:
    """A greeting after which nobody looks whether the connection still stands."""
    connection = RedisConnection(on_lost, on_push)
    await asyncio.get_running_loop().create_unix_connection(lambda: connection, address.path)
    await connection.execute("INFO", "server")
    connection._greeted = True
    return connection


def _watch_who_did_not_start_it(self: Any, why: int) -> None:
    if why == Close.NOT_STARTED:
        self.services.node._peers.counts.acquire(self.connection.owner)
    _close(self, why)


_close = UpstreamConnection.on_close


def _drop_what_is_told_to_the_dead(self: Any, node: str) -> None:
    _on_dead(self, node)
    self.node._outbox.drop(node)


_on_dead = interface_dispatcher.Dispatcher.on_dead


def _choose_what_runs(self: Adoption, entries: Any, now: float, running: Any = ()) -> list[Any]:
    return _choose(self, entries, now)


_choose = Adoption.choose


def _take_of_any_era(self: ChannelConsumer, entries: list[Any]) -> bool:
    for entry in entries:
        entry.packet[9] = self._node.era or ""
    return _worker_take(self, entries)


_worker_take = ChannelConsumer.on_entries


def _credit_with_an_owner_alone(self: Connection) -> bool:
    return self.state is ConnectionState.OWNED and not self.waiting and self.outgoing.has_credit


def _hand_off_and_forget(self: Connection, consumed: int, mid_message: bool) -> Action:
    self.kept = None
    return _hand_off(self, consumed, mid_message)


_hand_off = Connection.hand_off


def _forget_what_is_consumed(self: Connection, sequence: int) -> None:
    acceptance, self.acceptance = self.acceptance, Acceptance.ACCEPTED
    _consumed(self, sequence)
    self.acceptance = acceptance


_consumed = Connection.consumed


def _show_each_accept(self: Connection, events: list[Any]) -> list[Any]:
    accepts = [event for event in events if event["type"] == "websocket.accept" and self.accepted]
    return accepts + _filter_events(self, events)


_filter_events = Connection.filter_events


def _repeat_after_a_crash(self: Connection, now: float, mid_message: bool, never_began: bool = False) -> Action:
    action = self.transition(Trigger.OWNER_DIED)
    self.deaths += (now,)
    return action


def _die_often(self: Connection, now: float, mid_message: bool, never_began: bool = False) -> Action:
    deaths, self.deaths = self.deaths, ()
    action = _owner_died(self, now, mid_message)
    self.deaths = (*deaths, now)
    return action


_owner_died = Connection.owner_died


def _any_may_start_again(self: Connection) -> bool:
    return self.may_start_twice and self.opening is not None


def _push_at_once(self: Deliveries, number: int, pushed: Any) -> None:
    if number in self._connections:
        self._connections[number].client.push(pushed)


def _send_at_once(self: Deliveries, upstream: UpstreamConnection, event: Any, count: int) -> None:
    upstream.client.push(PushedMessage(event))


def _expect_nothing(self: Deliveries, upstream: UpstreamConnection, count: int, expected: bool) -> None:
    _placed(self, upstream, count, False)


_placed = Deliveries.placed


def _in_silence(deed: Any) -> Any:
    """The same deed, and nobody is told."""

    def done(self: Any, *arguments: Any) -> None:
        dispatcher = getattr(self, "services", self)
        post, dispatcher.post = dispatcher.post, _nothing
        try:
            deed(self, *arguments)
        finally:
            dispatcher.post = post

    return done


def _end_what_the_dead_had(self: WorkerDispatcher, node: str) -> None:
    """A worker that ends its own side alone."""
    for downstream in self.downstreams:
        if downstream.key[0] == node:
            downstream.disconnect(ABNORMAL, "")


def _adopted_without_resync(self: UpstreamConnection, owner: str, epoch: int, window: int) -> bool:
    if self.connection.owner is not None or self.connection.epoch != epoch:
        return self.connection.is_from_owner(owner, epoch)
    self.perform(self.connection.adopt(owner, window))
    return True


def _confirm_and_never_resync(self: Node, what: str, node: str) -> None:
    if node != self.name:
        self._peers.confirm_dead(node)


def _confirm_gone_for_good(self: FailureDetector, node: str, gone: bool = False) -> None:
    _confirm_dead(self, node, True)


_confirm_dead = FailureDetector.confirm_dead


def _renewed_and_no_more(self: Node, asked_at: float, found: bool) -> None:
    self._own_lease.renewed(asked_at, found)


def _go_on_where_the_stream_ends(self: Inbox, era: str, was_made: int, last_id: bytes) -> None:
    self._era = era
    if was_made:
        self._last_id = b"0-0"
    elif parse_id(last_id) < parse_id(self._last_id):
        self._last_id = last_id
    else:
        return
    self._wake(BEYOND)


_MOVES_WITHOUT_LATE_OUTCOMES = {**MOVES, ConnectionState.OVERDUE: {
    trigger: move
    for trigger, move in MOVES[ConnectionState.OVERDUE].items()
    if trigger not in (Trigger.UNKNOWN, Trigger.UNAVAILABLE, Trigger.FULL)
}}  # fmt: skip

#: What this simulation has found in our own code; each was a rule that was missing.
FOUND: dict[str, list[Patch]] = {
    "a loss during the greeting is noticed": [(redis_connection, "_connect", _connect_and_trust)],
    "the outcome of `open` may come when the wait is over": [(connection, "MOVES", _MOVES_WITHOUT_LATE_OUTCOMES)],
    "what runs here is not taken here again": [(Adoption, "choose", _choose_what_runs)],
    "who did not start a connection is no longer watched for it": [
        (UpstreamConnection, "on_close", _watch_who_did_not_start_it)
    ],
    "who is adopted late is asked whether anything is lost": [
        (UpstreamConnection, "on_adopted", _adopted_without_resync)
    ],
    "what is started again gets its whole body": [(Connection, "consumed", _forget_what_is_consumed)],
    "the inbox is made before anything is opened": [(Inbox, "make", _nothing)],
    "in another life of Redis the inbox is read from its beginning": [(Inbox, "_found", _go_on_where_the_stream_ends)],
    "credit is sent again at a resync": [
        (DownstreamConnection, "credit_again", _nothing),
        (Connection, "credit_again", _nothing),
    ],
    "a renewal that is under way may have found nothing": [(OwnLease, "renewal_pending", False)],
    "what answers whoever was thought dead is kept": [(FailureDetector, "confirm_dead", _confirm_gone_for_good)],
    "between two owners an open socket is read": [(Connection, "may_read", property(_credit_with_an_owner_alone))],
    "what the last owner sent takes its part of the next window": [
        (connection, "Incoming", lambda window, outstanding=0: Incoming(window))
    ],
}

#: Each rule, and what the code looks like without it.
RULES: dict[str, list[Patch]] = {
    "a worker that leaves refuses what waits for it alone": [(QueueConsumer, "stop", _stop_taking_without_a_word)],
    "what waits for a worker that died is queued for all": [(PendingQueue, "worker_died", _forget_the_way_alone)],
    "a packet seen before is dropped, by the interface server": [(Connection, "order", _every_packet_is_next)],
    "a packet seen before is dropped, by the worker": [(DownstreamConnection, "on_data", _worker_delivers_all)],
    "stale packets are answered, by the interface server": [(interface_dispatcher.Dispatcher, "_stale", _nothing)],
    "stale packets are answered, by the worker": [(WorkerDispatcher, "_stale", _nothing)],
    "the owner is compared beside the epoch": [(Connection, "is_from_owner", _is_from_any_sender)],
    "the epoch is compared beside the owner": [(Connection, "is_from_owner", _is_of_any_epoch)],
    "the epoch grows when a connection is queued again": [(Connection, "_next_epoch", _queue_again_in_the_same_epoch)],
    "never again after an unanswered take": [(Adoption, "unanswered", _take_again)],
    "an unanswered take is told to be not started": [(QueueConsumer, "unanswered", _start_what_was_not_answered)],
    "packets are held during a take in flight": [(Adoption, "buffer", lambda self, key, packet: False)],
    "never two takes of one connection": [
        (
            Adoption,
            "choose",
            lambda self, entries, now, running=(): [
                entry for entry in entries if self._under_way.setdefault(entry.key, []) is not None
            ],
        )
    ],
    "`open` is never sent twice": [(ChannelWriter, "_answered", _open_once_more)],
    "what must not start twice is not queued again while its outcome is unknown": [
        (Connection, "transition", _post_again_after_unknown)
    ],
    "what was forwarded is kept until the instance shows life": [
        (Connection, "_next_epoch", _forget_what_was_forwarded)
    ],
    "a batch without an answer is sent again": [(Outbox, "connected", _forget_what_is_under_way)],
    "the inbox is read up before a death is acted upon": [(Inbox, "read_up", _read_nothing_up)],
    "only who holds a lease may judge": [(OwnLease, "may_declare_dead", lambda self, now: True)],
    "what is told to the dead leaves": [(interface_dispatcher.Dispatcher, "on_dead", _drop_what_is_told_to_the_dead)],
    "deaths are noticed": [(FailureDetector, "_check_leases", _check_no_lease)],
    "a worker takes what is of its own era": [(ChannelConsumer, "on_entries", _take_of_any_era)],
    "what was queued in another era is queued again": [(PendingQueue, "_era_changed", _nothing)],
    "`sync` at every resync": [
        (interface_dispatcher.Dispatcher, "on_resync_needed", _nothing),
        (WorkerDispatcher, "on_resync_needed", _nothing),
    ],
    "a process that finds its lease missing resyncs": [(Node, "_on_renewed", _renewed_and_no_more)],
    "a process that hears of its own death resyncs": [(Node, "_on_news", _confirm_and_never_resync)],
    "the dead are told, by the interface server": [
        (interface_dispatcher.Dispatcher, "on_dead", _in_silence(interface_dispatcher.Dispatcher.on_dead))
    ],
    "the dead are told, by the worker": [(WorkerDispatcher, "on_dead", _end_what_the_dead_had)],
    "deaths are announced": [(FailureDetector, "announce", _nothing)],
    "a hand-off keeps what was not consumed": [(Connection, "hand_off", _hand_off_and_forget)],
    "a hand-off repeats nothing that was consumed": [(Connection, "consumed", _nothing)],
    "a hand-off is answered": [(UpstreamConnection, "on_handoff", _in_silence(UpstreamConnection.on_handoff))],
    "the second accept is swallowed": [(Connection, "filter_events", _show_each_accept)],
    "what the dead had is not repeated": [(Connection, "owner_died", _repeat_after_a_crash)],
    "nothing is started again after a third death": [(Connection, "owner_died", _die_often)],
    "after a crash only who asked for that is resumed": [(Connection, "replayable", property(_any_may_start_again))],
    "who left before its place was known is withdrawn": [(UpstreamConnection, "opened", _opened_without_withdrawing)],
    "what is pushed waits for the accept": [(Deliveries, "push", _push_at_once), (Deliveries, "send", _send_at_once)],
    "a message to a group waits for its place": [(delivery_order, "is_placed", lambda connection, pushed: True)],
    "packets wait for the message to a group before them": [(Deliveries, "placed", _expect_nothing)],
    "what was sent leaves before what the layer sends": [(LoopLayer, "_next_origin", lambda self: NO_ORIGIN)],
    "what the layer has sent is counted": [(Deliveries, "_is_next", staticmethod(lambda upstream, count: True))],
    "counters are read when a subscription stands again": [(GroupCounters, "on_subscribed", _nothing)],
    **BETWEEN,
    **DIRECT,
}


_INHERITED = object()  #: the class has the attribute from its base


@contextlib.contextmanager
def switched_off(rule: str) -> Iterator[None]:
    """The packages without this rule."""
    patches = {**FOUND, **RULES}[rule]
    before = [(owner, name, owner.__dict__.get(name, _INHERITED)) for owner, name, _ in patches]
    try:
        for owner, name, instead in patches:
            setattr(owner, name, instead)
        yield
    finally:
        for owner, name, value in before:
            if value is _INHERITED:
                delattr(owner, name)
            else:
                setattr(owner, name, value)
