"""Reads the counters of groups whose subscription stands again, so that a loss is noticed before the next message comes.

The subscription and the counter are on two connections. So a counter may include messages that are still under way to this process.
Where one seems ahead, a marker is published to the process itself after it was read. The subscriptions' connection delivers in
order: what has not come when the marker comes was missed. PROTOCOL.md, "Groups", P10.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

from channel_layer.messaging.group_sequence import GroupSequences
from channel_layer.messaging.node_context import NodeContext
from channel_layer.redis.connection import Answer, RedisConnection

#: Counters that are read by one command.
COUNTERS_MAX: Final = 500


class Commands(Protocol):
    """Has the connection for commands, beside that of the subscriptions."""

    @property
    def connection(self) -> RedisConnection | None:
        """None while there is none."""


class GroupCounters:
    """The reads of one process. on_missed: gets a group, and how many of its messages were missed."""

    def __init__(
        self,
        context: NodeContext,
        commands: Commands,
        sequences: GroupSequences,
        on_missed: Callable[[str, int], None],
    ) -> None:
        self._keys = context.keys
        self._probe = context.keys.probe(context.name)
        self._commands = commands
        self._sequences = sequences
        self._on_missed = on_missed
        self._loop = asyncio.get_running_loop()
        self._tokens = itertools.count(1)
        self._scheduled = False
        self._unread: dict[str, None] = {}  # in the order of their confirmations
        self._reading: dict[str, int] = {}  # by group: the read under way
        self._ahead: dict[bytes, dict[str, int]] = {}  # by marker under way: the counters that seem ahead

    def on_subscribed(self, group: str) -> None:
        """Read the group's counter, together with those of all groups that are confirmed during this turn of the loop."""
        self._unread[group] = None
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self.read)

    def forget(self, group: str) -> None:
        """Forget a group: its last member here has gone."""
        self._unread.pop(group, None)
        self._reading.pop(group, None)

    def lost(self) -> None:
        """Forget all reads: the subscriptions' connection was lost, and each group will be confirmed again."""
        self._unread.clear()
        self._reading.clear()
        self._ahead.clear()

    def read(self) -> None:
        """Read the counters that are not read yet. Called once a second too: Redis may not have answered before."""
        self._scheduled = False
        connection = self._commands.connection
        if connection is None or not self._unread:
            return
        unread, self._unread = list(self._unread), {}
        for start in range(0, len(unread), COUNTERS_MAX):
            groups, token = unread[start : start + COUNTERS_MAX], next(self._tokens)
            self._reading.update(dict.fromkeys(groups, token))
            connection.call(partial(self._answered, token, groups), "MGET", *map(self._keys.group_sequence, groups))

    def on_marker(self, marker: bytes) -> None:
        """Settle what was read before this marker: everything else that was published until then has come."""
        for group, counter in self._ahead.pop(marker, {}).items():
            if missed := self._sequences.settle(group, counter):
                self._on_missed(group, missed)

    def _answered(self, token: int, groups: list[str], answer: Answer) -> None:
        current = [group for group in groups if self._reading.get(group) == token]
        for group in current:
            del self._reading[group]
        if isinstance(answer, Exception):
            self._unread.update(dict.fromkeys(current))
            return
        counters = dict(zip(groups, map(_number, answer), strict=True))
        ahead = {group: counters[group] for group in current if self._sequences.on_counter(group, counters[group])}
        if ahead:
            self._publish_marker(ahead)

    def _publish_marker(self, ahead: dict[str, int]) -> None:
        if (connection := self._commands.connection) is None:
            self._unread.update(dict.fromkeys(ahead))
            return
        marker = b"%d" % next(self._tokens)
        self._ahead[marker] = ahead
        connection.call(partial(self._published, marker), "PUBLISH", self._probe, marker)

    def _published(self, marker: bytes, answer: Answer) -> None:
        """Read the counters again if their marker was not published."""
        if isinstance(answer, Exception):
            self._unread.update(dict.fromkeys(self._ahead.pop(marker, ())))


def _number(counter: bytes | None) -> int:
    """The number in a counter; 0 if there is none, or something else is in its place."""
    return int(counter) if counter is not None and counter.isdigit() else 0
