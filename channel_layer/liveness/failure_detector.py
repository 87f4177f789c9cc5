"""Detects the death of processes that share connections with this one.

A death is seen (the process runs on this machine), announced by another process, or found, since a lease that is checked each
second has expired. All three ways lead to `confirm_dead`: the packets that the dead process had sent are read first, and only
then its connections are handled, once. lease.py decides what a lease proves and which process may call it expired. PROTOCOL.md,
"Deaths"; P6 and P8.

A death has two consequences. *The shared connections* are always handled: if the process was alive after all, both sides end
them, and each learns it from the other. *The packets for it* are dropped only if no process will ever read them. If the process is
certain to be gone and its inbox is missing, that is all of them. If only an expired lease tells of the death, it is those from
before the check (`Outbox.mark`), since a process that lives sends `sync` after it and waits for the answer.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any, Final

import hiredis

from channel_layer.errors import LayerUnavailable
from channel_layer.liveness.lease import OwnLease
from channel_layer.liveness.peer_counts import PeerCounts
from channel_layer.messaging.inbox import Inbox
from channel_layer.messaging.node_context import NodeContext
from channel_layer.messaging.outbox import Outbox
from channel_layer.process.local_process import DeathWatch
from channel_layer.protocol.codec import pack
from channel_layer.redis.connection import Answer, RedisConnection
from channel_layer.redis.managed_connection import ManagedConnection

log: Final = logging.getLogger("towpath.node")

REMEMBERED_MAX: Final = 100
SETTLE_POLL_S: Final = 0.005
#: For how long a process is taken for gone. Should it have lost its inbox and its lease alone, it is reached again after that.
GONE_S: Final = 60.0


class FailureDetector:
    """The peers of one process. `on_dead(node)` is called for a peer that shared connections, after its last packets were
    handled.
    """

    def __init__(
        self,
        context: NodeContext,
        *,  # all are parts of one node and made there, so their order means nothing
        commands: ManagedConnection,
        inbox: Inbox,
        outbox: Outbox,
        own_lease: OwnLease,
        on_dead: Callable[[str], None],
    ) -> None:
        self._watched_peers: set[str] = set()  # their leases were read, to find the processes of this machine
        self.counts = PeerCounts(self._watched_peers, self._watch_peer)
        #: Add and subtract one connection that is shared with a process. Bound once, since they are called for each request.
        self.acquire, self.release = self.counts.acquire, self.counts.release
        #: How many live processes have the role of this one, itself included; at most two seconds old.
        self.same_role_count = 1
        #: The names of all live processes, at most two seconds old.
        self.living: list[str] = []
        #: The lease of each other process by its name, as old; empty unless `read_other_leases` asks for it.
        self.other_leases: dict[str, dict[str, Any]] = {}
        self._reads_other_leases = False
        self._name = context.name
        self._role = context.role
        self._keys = context.keys
        self._encryption = context.encryption
        self._commands = commands
        self._inbox = inbox
        self._outbox = outbox
        self._own_lease = own_lease
        self._on_dead = on_dead
        self._loop = asyncio.get_running_loop()
        self._suspects: set[str] = set()  # no inbox there, or a message was sent: their leases are checked in any case
        self._dead: dict[str, bool] = {}  # to be processed; True: certain never to come back
        self._deaths = DeathWatch(self._on_death_seen)
        self._seen_dead: deque[str] = deque(maxlen=REMEMBERED_MAX)  # the last deaths that were seen, for the log
        self._left: deque[str] = deque(maxlen=REMEMBERED_MAX)  # the last that announced their shutdown
        self._gone: dict[str, float] = {}  # no process reads packets for them: until when that is taken for certain
        self._processing: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Stop watching."""
        if self._processing is not None:
            self._processing.cancel()
            await asyncio.gather(self._processing, return_exceptions=True)
        self._deaths.close()

    # -- which peers are watched

    def suspect(self, node: str) -> None:
        """Check the lease of `node` at the next occasion: a batch found no inbox there, or a message of the layer was sent."""
        self._suspects.add(node)

    def is_gone(self, node: str) -> bool:
        """True if `node` was sent to and found without a lease lately, has announced its shutdown, or was seen to die."""
        if not self._gone:
            return False
        until = self._gone.get(node)
        return until is not None and self._loop.time() < until

    def is_certainly_gone(self, node: str) -> bool:
        """True if `node` has announced its shutdown, or was seen to die: an expired lease alone proves neither."""
        return node in self._left or node in self._seen_dead

    def has_left(self, node: str) -> bool:
        """True if `node` has announced its shutdown."""
        return node in self._left

    def _mark_gone(self, node: str) -> None:
        self._gone.pop(node, None)
        self._gone[node] = self._loop.time() + GONE_S
        if len(self._gone) > REMEMBERED_MAX:
            del self._gone[next(iter(self._gone))]

    def _unmark_gone(self, node: str) -> None:
        """Reach a process again that has a lease again: it had hung, and its end was neither announced nor seen."""
        if node not in self._left and node not in self._seen_dead:
            del self._gone[node]

    def _watch_peer(self, node: str) -> None:
        """Read the lease of `node`, which tells where the process runs. While Redis is unreachable, the next `check` does it."""
        connection = self._commands.connection
        if connection is None:
            return
        self._watched_peers.add(node)

        def answered(lease: Answer) -> None:
            self._watch_process(node, lease)

        connection.call(answered, "GET", self._keys.lease(node))

    def _watch_process(self, node: str, lease: Answer) -> None:
        """Watch the process itself if it runs on this machine, so that its death is seen before its lease expires."""
        if not isinstance(lease, bytes):
            self._watched_peers.discard(node)
            self._suspects.add(node)
            return
        facts = self._encryption.lease_facts(self._keys.lease(node), lease)
        if facts is not None:
            self._deaths.watch(node, facts)

    # -- deaths

    def announce(self, what: str, node: str) -> None:
        """Publish news to all processes: see `keys.news` in PROTOCOL.md. They are lost while Redis is unreachable."""
        if self._commands.connection is not None:
            news = self._encryption.published(self._keys.news, pack([what, node]))
            self._commands.connection.send("PUBLISH", self._keys.news, news)

    def confirm_dead(self, node: str, gone: bool = False) -> None:
        """Process the death or the shutdown of `node` as soon as its last packets have been read.

        gone: the process is certain never to come back, since it announced that or was seen to die. An expired lease proves less.
        """
        if not gone and self._deaths.has_died(node):  # the news of another process that has seen it came first
            self._seen_dead.append(node)
            gone = True
        self._deaths.unwatch(node)
        self._watched_peers.discard(node)
        self._dead[node] = gone or self._dead.get(node, False)
        self._start_processing_deaths()

    def peer_left(self, node: str) -> None:
        """Process the shutdown of `node`, so that packets that find no inbox there are no sign of a death."""
        self._left.append(node)
        self.confirm_dead(node, gone=True)

    def _on_death_seen(self, node: str) -> None:
        """Announce a death on this machine, so that other processes need not wait for the lease to expire."""
        if node not in self._seen_dead:  # it is seen again each time that a connection is adopted which it had queued
            self._seen_dead.append(node)
            log.warning("saw %s die", node)
        self.announce("dead", node)
        self.confirm_dead(node, gone=True)

    def _start_processing_deaths(self) -> None:
        if self._processing is None or self._processing.done():
            self._processing = self._loop.create_task(self._process_deaths())

    async def _process_deaths(self) -> None:
        """Read our inbox up to its present end, then process all confirmed deaths. Retried each second.

        The packets of the dead processes are in our inbox already, and may have ended some of the connections.
        """
        try:
            while self._dead and (connection := self._commands.connection) is not None:
                dead = tuple(self._dead)
                async with asyncio.timeout(self._own_lease.ttl_s):
                    await self._inbox.read_up(connection)
                for node in dead:
                    self._process_death(node, gone=self._dead.pop(node))
        except (LayerUnavailable, TimeoutError, hiredis.ReplyError) as error:
            log.debug("deaths could not be processed yet: %s", error)

    async def read_inbox_up(self) -> None:
        """Return when all that is in our inbox now has been handled. Raises LayerUnavailable."""
        if (connection := self._commands.connection) is None:
            raise LayerUnavailable("not connected to Redis")
        try:
            await self._inbox.read_up(connection)
        except hiredis.ReplyError as error:
            raise LayerUnavailable(f"the inbox could not be read: {error}") from error

    def _process_death(self, node: str, gone: bool) -> None:
        if gone:
            self._mark_gone(node)
        if gone and node in self._suspects:  # its inbox is gone too: no process will read those packets
            self._suspects.discard(node)
            self._outbox.drop(node)
        if node in self.counts:
            self.counts.process_death(node)
            self._on_dead(node)  # last, since packets to the dead must leave: it may be alive

    # -- leases of peers

    def read_other_leases(self, wanted: bool) -> None:
        """Set whether each check from now on reads the leases of all other processes."""
        self._reads_other_leases = wanted

    async def check(self) -> None:
        """Check once a second whether watched peers are alive, and count the processes of our role."""
        watched = {*self.counts.watched(), *self._suspects}
        try:
            await self._count_same_role()
            if watched and self._own_lease.may_declare_dead(monotonic()):
                await self._check_leases(list(watched))
        except (LayerUnavailable, hiredis.ReplyError) as error:
            log.debug("leases could not be read: %s", error)
        for node in self.counts.watched():
            if node not in self._watched_peers:
                self._watch_peer(node)
        if self._dead:
            self._start_processing_deaths()

    async def leases(self) -> dict[str, dict[str, Any]]:
        """The lease of each living process by its name, our own included. Raises LayerUnavailable, hiredis.ReplyError."""
        connection = self._commands.connection
        if connection is None:
            raise LayerUnavailable("not connected to Redis")
        return await self._read(connection, await self._living(connection))

    async def _living(self, connection: RedisConnection) -> list[str]:
        """The names of all processes that have renewed their lease in time."""
        since = int((await connection.execute("TIME"))[0]) * 1000 - int(self._own_lease.ttl_s * 1000)
        found = await connection.execute("ZRANGEBYSCORE", self._keys.nodes, since, "+inf")
        return [name.decode(errors="replace") for name in found]  # other processes wrote it: it may contain anything

    async def _read(self, connection: RedisConnection, names: list[str]) -> dict[str, dict[str, Any]]:
        """Those of the leases that exist and can be read."""
        keys = list(map(self._keys.lease, names))
        leases = await connection.execute("MGET", *keys) if keys else ()
        facts = {
            name: self._encryption.lease_facts(key, lease)
            for name, key, lease in zip(names, keys, leases, strict=True)
            if lease is not None
        }
        return {name: known for name, known in facts.items() if known is not None}

    async def _count_same_role(self) -> None:
        connection = self._commands.connection
        if connection is None:
            return
        self.living = names = await self._living(connection)
        self._watched_peers.intersection_update(names)
        for name in self._gone.keys() & set(names):
            self._unmark_gone(name)
        same_role = [name for name in names if name.startswith(self._role)]
        self.same_role_count = max(1, len(same_role))
        others = [name for name in names if name != self._name] if self._reads_other_leases else []
        self.other_leases = await self._read(connection, others)

    async def _check_leases(self, watched: list[str]) -> None:
        """Confirm the death of each peer with an expired lease. If ours is gone too, Redis has lost all leases, and none proves
        a death.
        """
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
            self._mark_gone(node)
        for node in dead:
            if node not in self._left and node not in self._dead:  # else it is known, and about to be processed
                log.warning("the lease of %s is over", node)
                self.announce("dead", node)
            self.confirm_dead(node)

    async def _may_still_declare_dead(self) -> bool:
        """True if our own lease still proves that we are connected. A renewal under way may have written it anew a moment ago."""
        end = self._loop.time() + self._own_lease.ttl_s
        while self._own_lease.renewal_pending:
            if self._loop.time() >= end:
                return False
            await asyncio.sleep(SETTLE_POLL_S)
        return self._own_lease.may_declare_dead(monotonic())
