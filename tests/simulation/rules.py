"""The rules of the wire, each with a way to switch it off: what the simulation is worth is what it finds without them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import interface_server.pump as interface_pump
from channel_layer import redis_connection
from channel_layer.lease import OwnLease
from channel_layer.packets import Close
from channel_layer.redis_connection import RedisConnection
from channel_layer.redis_inbox import RedisInbox
from channel_layer.redis_node import RedisNode
from channel_layer.redis_opener import Outcome, RedisOpener
from channel_layer.redis_outbox import RedisOutbox
from interface_server import connection
from interface_server.connection import MOVES, Action, Connection, Happening, Order, State
from interface_server.upstream import WireUpstream
from worker.adoption import Adoption
from worker.pump import Pump as WorkerPump

Patch = tuple[Any, str, Any]


def _every_packet_is_next(self: Connection, sequence: int) -> Order:
    self.received = sequence
    return interface_pump._NEXT


def _worker_feeds_all(self: WorkerPump, line: Any, packet: list[Any]) -> None:
    line.received = packet[3] - 1
    _worker_data(self, line, packet)


_worker_data = WorkerPump._data


def _obeys_any_sender(self: Connection, sender: str, epoch: int) -> bool:
    return self.epoch == epoch and self.state is State.OWNED


def _obeys_any_epoch(self: Connection, sender: str, epoch: int) -> bool:
    return self.owner == sender and self.state is State.OWNED


def _take_again(self: Adoption, key: Any, now: float) -> None:
    self._under_way.pop(key, None)


def _start_what_was_not_answered(self: WorkerPump, keys: list[Any]) -> None:
    """A worker that says nothing about a take without an answer."""
    for key in keys:
        self._adoption.unanswered(key, self._loop.time())


def _open_once_more(self: RedisOpener, batch: Any, answer: Any) -> None:
    if isinstance(answer, Exception) and not isinstance(answer, KeyError) and self._connection is not None:
        self._under_way = False
        self._returning[:0] = batch  # as client libraries do by themselves: again, as soon as there is a connection
        return
    _opener_answered(self, batch, answer)


_opener_answered = RedisOpener._answered


def _forget_what_is_under_way(self: RedisOutbox, connection: Any) -> None:
    for destination in self._destinations.values():
        destination.under_way = []
    _outbox_connected(self, connection)


_outbox_connected = RedisOutbox.connected


def _queue_again_in_the_same_epoch(self: Connection) -> None:
    self.owner = None
    self.waiting = (self.kept or []) + (self.waiting or [])
    self.kept = None
    self.sent = self.received = 0


def _post_again_after_unknown(self: Connection, happening: Happening) -> Action:
    if happening is Happening.UNKNOWN and self.state is State.QUEUED:
        self._next_epoch()
        return Action.OPEN_AGAIN
    return _happen(self, happening)


_happen = Connection.happen


def _forget_what_was_forwarded(self: Connection) -> None:
    self.kept = None
    _next_epoch(self)


_next_epoch = Connection._next_epoch


async def _read_nothing_up(self: RedisInbox, connection: Any) -> None:
    """Act on a death at once."""


def _nothing(*_: Any) -> None:
    """The rule's deed is not done."""


def _opened_without_withdrawing(self: WireUpstream, epoch: int, outcome: Any) -> None:
    if isinstance(outcome, Outcome) or self.state is not State.DONE:
        _opened(self, epoch, outcome)


_opened = WireUpstream.opened


async def _connect_and_trust(address: Any, on_lost: Any, on_push: Any) -> RedisConnection:
    """A greeting after which nobody looks whether the connection still stands."""
    greeting: list[Any] = []
    connection = RedisConnection(lambda: greeting[0]() if greeting else None)
    await asyncio.get_running_loop().create_unix_connection(lambda: connection, address.path)
    await connection.execute("INFO", "server")
    connection._on_push = on_push
    greeting.append(on_lost)
    return connection


def _watch_who_did_not_start_it(self: Any, sender: str, packet: list[Any]) -> None:
    upstream = self._connections.get(packet[1])
    if packet[3] == Close.NOT_STARTED and upstream is not None and upstream.obeys(sender, packet[2]):
        self.node.peers.hold(sender)
    _close(self, sender, packet)


_close = interface_pump.Pump._close


def _drop_what_is_told_to_the_dead(self: Any, node: str) -> None:
    _on_dead(self, node)
    self.node.outbox.drop(node)


_on_dead = interface_pump.Pump.on_dead


def _choose_what_runs(self: Adoption, keys: Any, now: float, running: Any = ()) -> list[bool]:
    return _choose(self, keys, now)


_choose = Adoption.choose

_MOVES_WITHOUT_LATE_OUTCOMES = {**MOVES, State.OVERDUE: {
    happening: move
    for happening, move in MOVES[State.OVERDUE].items()
    if happening not in (Happening.UNKNOWN, Happening.UNAVAILABLE, Happening.FULL)
}}  # fmt: skip

#: What this simulation has found in our own code; each was a rule that was missing.
FOUND: dict[str, list[Patch]] = {
    "a loss during the greeting is noticed": [(redis_connection, "_connect", _connect_and_trust)],
    "the outcome of `open` may come when the wait is over": [(connection, "MOVES", _MOVES_WITHOUT_LATE_OUTCOMES)],
    "what runs here is not taken here again": [(Adoption, "choose", _choose_what_runs)],
    "who did not start a connection is no longer watched for it": [
        (interface_pump.Pump, "_close", _watch_who_did_not_start_it)
    ],
}

#: Each rule, and what the code looks like without it.
RULES: dict[str, list[Patch]] = {
    "a packet seen before is dropped, by the interface server": [(Connection, "order", _every_packet_is_next)],
    "a packet seen before is dropped, by the worker": [(WorkerPump, "_data", _worker_feeds_all)],
    "stray packets are answered, by the interface server": [(interface_pump.Pump, "_stray", _nothing)],
    "stray packets are answered, by the worker": [(WorkerPump, "_stray", _nothing)],
    "the owner is compared beside the epoch": [(Connection, "obeys", _obeys_any_sender)],
    "the epoch is compared beside the owner": [(Connection, "obeys", _obeys_any_epoch)],
    "the epoch grows when a connection is queued again": [(Connection, "_next_epoch", _queue_again_in_the_same_epoch)],
    "never again after an unanswered take": [(Adoption, "unanswered", _take_again)],
    "an unanswered take is told to be not started": [(WorkerPump, "_unanswered", _start_what_was_not_answered)],
    "packets are held during a take in flight": [(Adoption, "hold", lambda self, key, packet: False)],
    "never two takes of one connection": [
        (
            Adoption,
            "choose",
            lambda self, keys, now, running=(): [self._under_way.setdefault(key, []) is not None for key in keys],
        )
    ],
    "`open` is never sent twice": [(RedisOpener, "_answered", _open_once_more)],
    "what must not start twice is not queued again on doubt": [(Connection, "happen", _post_again_after_unknown)],
    "what was forwarded is kept until the instance shows life": [
        (Connection, "_next_epoch", _forget_what_was_forwarded)
    ],
    "a batch without an answer is sent again": [(RedisOutbox, "connected", _forget_what_is_under_way)],
    "the inbox is read up before a death is acted upon": [(RedisInbox, "read_up", _read_nothing_up)],
    "only who holds a lease may judge": [(OwnLease, "may_judge", lambda self, now: True)],
    "what is told to the dead leaves": [(interface_pump.Pump, "on_dead", _drop_what_is_told_to_the_dead)],
    "deaths are noticed": [(RedisNode, "_judge", RedisNode._count_fellows)],
    "who left before its place was known is withdrawn": [(WireUpstream, "opened", _opened_without_withdrawing)],
}


@contextlib.contextmanager
def switched_off(rule: str) -> Iterator[None]:
    """The rooms without this rule."""
    patches = {**FOUND, **RULES}[rule]
    before = [(owner, name, owner.__dict__[name]) for owner, name, _ in patches]
    try:
        for owner, name, instead in patches:
            setattr(owner, name, instead)
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)
