"""The lives of those that one process deals with.

Think of neighbours. A death is seen (a process of this machine), heard of (somebody else says so), or found out, since a lease
that is looked at each second has ended. However it was learnt, it goes one way: `confirm_dead`, the last words are read, and only then it
is acted upon, once. What a lease proves, and who may judge by it, is decided in lease.py. PROTOCOL.md, "Deaths"; P6 and P8.

Two questions are asked of a death, and have different answers. *Are the connections that we share dealt with?* Always: if that was
wrong, both sides end them, and learn it from each other. *Is the mail for it thrown away?* Only what nobody will ever read: all of it
where the process is certain to be gone and its inbox is missing; where a lease alone tells of the death, only what was here before
that look (`Outbox.mark`), since whoever lives says `sync` after it, and waits for an answer.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import hiredis

from channel_layer.errors import LayerUnavailable
from channel_layer.liveness.lease import OwnLease, readable
from channel_layer.liveness.peer_counts import PeerCounts
from channel_layer.messaging.inbox import Inbox
from channel_layer.messaging.node_context import NodeContext
from channel_layer.messaging.outbox import Outbox
from channel_layer.process.local_process import DeathWatch
from channel_layer.protocol.codec import pack
from channel_layer.redis.connection import Answer, RedisConnection
from channel_layer.redis.managed_connection import ManagedConnection

log = logging.getLogger("towpath.node")

REMEMBERED_MAX = 100
SETTLE_POLL_S = 0.005


class FailureDetector:
    """The other processes, as one sees them. `on_dead(node)`: it held connections of ours, and its last words have been read."""

    def __init__(
        self,
        context: NodeContext,
        *,  # parts of one node, of which none is made here: their order would mean nothing
        commands: ManagedConnection,
        inbox: Inbox,
        outbox: Outbox,
        own_lease: OwnLease,
        on_dead: Callable[[str], None],
    ) -> None:
        self.counts = PeerCounts()
        #: One connection less is shared with a process. (Bound once: it is called for each request.)
        self.release = self.counts.release
        #: How many live processes have our role, ourselves included; at most two seconds old.
        self.same_role_count = 1
        #: What each other process says of itself, by its name, as old; nothing unless `read_other_leases` asks for it.
        self.other_leases: dict[str, dict[str, Any]] = {}
        self._reads_other_leases = False
        self._name = context.name
        self._role = context.role
        self._keys = context.keys
        self._commands = commands
        self._inbox = inbox
        self._outbox = outbox
        self._own_lease = own_lease
        self._on_dead = on_dead
        self._loop = asyncio.get_running_loop()
        self._watched_peers: set[str] = set()  # whose lease was looked at, to watch the process itself if it is here
        self._suspects: set[str] = set()  # whose inbox was missing, so that their leases matter, whoever holds what
        self._dead: dict[str, bool] = {}  # not yet acted upon; True: certain never to come back
        self._deaths = DeathWatch(self._on_death_seen)
        self._seen_dead: deque[str] = deque(maxlen=REMEMBERED_MAX)  # the last of them, for the log
        self._left: deque[str] = deque(maxlen=REMEMBERED_MAX)  # the last who said so
        self._processing: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Watch nobody any more."""
        if self._processing is not None:
            self._processing.cancel()
            await asyncio.gather(self._processing, return_exceptions=True)
        self._deaths.close()

    # -- whose lives matter

    def acquire(self, node: str) -> None:
        """One connection more is shared with `node`: its life matters."""
        self.counts.acquire(node)
        if node not in self._watched_peers:
            self._watch_peer(node)

    def suspect(self, node: str) -> None:
        """A batch found no inbox: look at the lease at the next occasion."""
        self._suspects.add(node)

    def _watch_peer(self, node: str) -> None:
        """Look at its lease, where it says who it is. While Redis is away that has to wait for the next look at all of them."""
        connection = self._commands.connection
        if connection is None:
            return
        self._watched_peers.add(node)

        def answered(lease: Answer) -> None:
            self._watch_process(node, lease)

        connection.call(answered, "GET", self._keys.lease(node))

    def _watch_process(self, node: str, lease: Answer) -> None:
        """If it runs on this machine, its death is seen at once, and not when its lease ends."""
        if not isinstance(lease, bytes):
            self._watched_peers.discard(node)
            self._suspects.add(node)
            return
        for facts in readable([lease]):
            self._deaths.watch(node, facts)

    # -- deaths

    def announce(self, what: str, node: str) -> None:
        """News for everybody: see `keys.news` in PROTOCOL.md. Nobody hears it while Redis is away."""
        if self._commands.connection is not None:
            self._commands.connection.send("PUBLISH", self._keys.news, pack([what, node]))

    def confirm_dead(self, node: str, gone: bool = False) -> None:
        """`node` is dead, or leaves: act upon it as soon as its last words have been read.

        gone: it is certain never to come back, as it said so itself, or was seen to die. A lease that is over proves less.
        """
        self._deaths.unwatch(node)
        self._watched_peers.discard(node)
        self._dead[node] = gone or self._dead.get(node, False)
        self._start_processing_deaths()

    def peer_left(self, node: str) -> None:
        """`node` leaves on purpose: what still finds no inbox there tells of no death."""
        self._left.append(node)
        self.confirm_dead(node, gone=True)

    def _on_death_seen(self, node: str) -> None:
        """We saw the process itself die: others shall not have to wait for its lease."""
        if node not in self._seen_dead:  # seen again each time when somebody takes what it had queued
            self._seen_dead.append(node)
            log.warning("saw %s die", node)
        self.announce("dead", node)
        self.confirm_dead(node, gone=True)

    def _start_processing_deaths(self) -> None:
        if self._processing is None or self._processing.done():
            self._processing = self._loop.create_task(self._process_deaths())

    async def _process_deaths(self) -> None:
        """What the dead said is in our inbox already; only then are their connections dealt with. Tried again each second."""
        try:
            while self._dead and (connection := self._commands.connection) is not None:
                dead = tuple(self._dead)
                async with asyncio.timeout(self._own_lease.ttl_s):
                    await self._inbox.read_up(connection)
                for node in dead:
                    self._process_death(node, gone=self._dead.pop(node))
        except (LayerUnavailable, TimeoutError, hiredis.ReplyError) as error:
            log.debug("the dead are not buried yet: %s", error)

    def _process_death(self, node: str, gone: bool) -> None:
        if gone and node in self._suspects:  # its inbox is gone too: nobody will read that mail
            self._suspects.discard(node)
            self._outbox.drop(node)
        if node in self.counts:
            self.counts.process_death(node)
            self._on_dead(node)  # last: what is said to the dead must leave, since they may live

    # -- leases of others

    def read_other_leases(self, wanted: bool) -> None:
        """Whether each look from now on reads what the leases of all other processes say."""
        self._reads_other_leases = wanted

    async def check(self) -> None:
        """Once a second: is everybody alive whose death would matter, and how many do what we do?"""
        watched = {*self.counts.watched(), *self._suspects}
        try:
            await self._count_same_role()
            if watched and self._own_lease.may_declare_dead(time.monotonic()):
                await self._check_leases(list(watched))
        except (LayerUnavailable, hiredis.ReplyError) as error:
            log.debug("leases could not be read: %s", error)
        for node in self.counts.watched():
            if node not in self._watched_peers:
                self._watch_peer(node)
        if self._dead:
            self._start_processing_deaths()

    async def leases(self) -> dict[str, dict[str, Any]]:
        """What each living process says of itself, by its name, ourselves included. Raises LayerUnavailable, hiredis.ReplyError."""
        connection = self._commands.connection
        if connection is None:
            raise LayerUnavailable("not connected to Redis")
        return await self._read(connection, await self._living(connection))

    async def _living(self, connection: RedisConnection) -> list[str]:
        """The names of all processes that have renewed their lease in time."""
        since = int((await connection.execute("TIME"))[0]) * 1000 - int(self._own_lease.ttl_s * 1000)
        found = await connection.execute("ZRANGEBYSCORE", self._keys.nodes, since, "+inf")
        return [name.decode(errors="replace") for name in found]  # written by others: it may be anything

    async def _read(self, connection: RedisConnection, names: list[str]) -> dict[str, dict[str, Any]]:
        """Those of their leases that are there and can be read."""
        leases = await connection.execute("MGET", *map(self._keys.lease, names)) if names else ()
        return {name: facts for name, lease in zip(names, leases, strict=True) for facts in readable([lease])}

    async def _count_same_role(self) -> None:
        connection = self._commands.connection
        if connection is None:
            return
        names = await self._living(connection)
        self._watched_peers.intersection_update(names)
        same_role = [name for name in names if name.startswith(self._role)]
        self.same_role_count = max(1, len(same_role))
        others = [name for name in names if name != self._name] if self._reads_other_leases else []
        self.other_leases = await self._read(connection, others)

    async def _check_leases(self, watched: list[str]) -> None:
        """Whose lease is over is dead: unless ours has gone with it, for then Redis has lost them all."""
        connection = self._commands.connection
        if connection is None:
            return
        for node in watched:
            self._outbox.mark(node)
        ours, *leases = await connection.execute("MGET", *map(self._keys.lease, (self._name, *watched)))
        if ours is None or not await self._may_still_declare_dead():
            return
        dead = [node for node, lease in zip(watched, leases, strict=True) if lease is None]
        suspects = self._suspects.intersection(dead)
        self._suspects.difference_update(watched)
        for node in suspects:
            self._outbox.drop_marked(node)
        for node in dead:
            if node not in self._left:
                log.warning("the lease of %s is over", node)
                self.announce("dead", node)
            self.confirm_dead(node)

    async def _may_still_declare_dead(self) -> bool:
        """May we, after all that may have happened to our own lease until now? A renewal may have written it anew a moment ago."""
        end = self._loop.time() + self._own_lease.ttl_s
        while self._own_lease.renewal_pending:
            if self._loop.time() >= end:
                return False
            await asyncio.sleep(SETTLE_POLL_S)
        return self._own_lease.may_declare_dead(time.monotonic())
