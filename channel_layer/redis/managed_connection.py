"""Keeps one connection to Redis, and makes a new one when it is lost (reconnect.py).

A peer that is gone looks like one that is busy: a proxy may swallow everything, a host may vanish, and TCP goes on. So a
connection is given up if a reply has been due for some seconds and nothing at all arrives. The longest that Redis may be silent
for good reason is a blocking read (2 s).

It promises nothing about commands: the outcome of those on a lost connection is unknown (connection.py). It calls `on_up` with
each new connection, and `on_down` when one is lost.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from channel_layer.errors import LayerUnavailable, LayerUnusable, NothingSent
from channel_layer.process.forked_child import give_up_in_children
from channel_layer.redis.address_file import AddressSource
from channel_layer.redis.blocking.primary_finder import Primary
from channel_layer.redis.connection import OnAnswer, RedisConnection, connect
from channel_layer.redis.connection_log import ConnectionLog
from channel_layer.redis.outage import Outage
from channel_layer.redis.reconnect import reconnect

log = logging.getLogger("towpath.redis")

CHECK_S = 1.0
SILENT_CHECKS_MAX = 6


def _nothing() -> None:
    """Do nothing about a lost connection."""


class ManagedConnection:
    """Keeps one connection to Redis for one purpose (`what`, for the log)."""

    def __init__(
        self,
        source: AddressSource,
        what: str,
        on_up: Callable[[RedisConnection], None],
        on_down: Callable[[], None] = _nothing,
        on_push: OnAnswer | None = None,
    ) -> None:
        self._source = source
        self._what = what
        self._on_up = on_up
        self._on_down = on_down
        self._on_push = on_push
        self._task: asyncio.Task[None] | None = None
        self._connection_log = ConnectionLog(what, Outage())
        self._closed = False
        self._check_timer: asyncio.TimerHandle | None = None
        self._followed: Primary | None = None
        self._failure: LayerUnavailable | None = None  # of the last attempt to reconnect
        self.connection: RedisConnection | None = None
        give_up_in_children(self)

    def sharing(self, outage: Outage) -> ManagedConnection:
        """Share one outage, for the log, with the other connections of a node. Returns this connection. Call it before `start`."""
        self._connection_log = ConnectionLog(self._what, outage)
        return self

    async def start(self) -> None:
        """Connect once; raises LayerUnavailable. After that a lost connection is replaced."""
        self._up(await connect(self._source.current(), self._lost, self._on_push))

    async def close(self) -> None:
        """End the connection for good."""
        self._closed = True
        self._connection_log.close()
        if self._check_timer is not None:
            self._check_timer.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def forked(self) -> None:
        """See `Inherited`. The connection closes its descriptor itself."""
        self.connection = None

    def renew(self) -> None:
        """End the connection on purpose: another one takes its place, and commands under way are given up."""
        if self.connection is not None:
            self._connection_log.expect_loss()
            self.connection.close()

    def renew_unless(self, era: str) -> None:
        """End the connection unless it is of this era, which another connection of ours has found. Data before it are gone."""
        if self.connection is not None and self.connection.era != era:
            self.renew()

    def follow(self, primary: Primary) -> None:
        """Connect at once to the primary that the Sentinels name. Ends a connection to its predecessor, and attempts to reach
        that.
        """
        if self.connection is not None:
            if self.connection.primary is not None and primary.supersedes(self.connection.primary):
                self.renew()
        elif self._task is not None and primary != self._followed and not self._closed:
            self._task.cancel()
            self._task = asyncio.get_running_loop().create_task(self._reconnect())
        self._followed = primary

    def missing(self) -> NothingSent:
        """The error of a call that finds no connection."""
        if isinstance(self._failure, LayerUnusable):
            return LayerUnusable(f"not connected to Redis: {self._failure}")
        return NothingSent("not connected to Redis")

    def _up(self, connection: RedisConnection) -> None:
        self.connection = connection
        self._failure = None
        if self._check_timer is None:
            self._check()
        self._on_up(connection)

    def _check(self) -> None:
        """Check once a second whether Redis still answers."""
        self._check_timer = asyncio.get_running_loop().call_later(CHECK_S, self._check)
        if self.connection is None:
            self._connection_log.missed(asyncio.get_running_loop().time())
        elif self.connection.checks_without_data() > SILENT_CHECKS_MAX:
            log.warning("Redis sent nothing for %.0f s (%s): trying anew", SILENT_CHECKS_MAX * CHECK_S, self._what)
            self.connection.close("it sent nothing for too long")

    def _lost(self, connection: RedisConnection) -> None:
        if connection is not self.connection:
            return  # an attempt, or `close` has ended it
        self.connection = None
        if self._closed:
            return
        loop = asyncio.get_running_loop()
        self._connection_log.lost(connection.loss_reason, loop.time())
        self._on_down()
        self._task = loop.create_task(self._reconnect())

    async def _reconnect(self) -> None:
        while not (connection := await reconnect(self._source, self._lost, self._on_push, self._failed)).alive:
            pass  # lost before it could be used
        self._connection_log.restored()
        self._up(connection)

    def _failed(self, error: LayerUnavailable) -> None:
        """Record the failure of an attempt to reconnect."""
        self._failure = error
        self._connection_log.attempt_failed(str(error))
