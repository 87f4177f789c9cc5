"""One process on the wire: its name, inbox, outbox, lease, groups, its part in the shared channels, and those it deals with.

Both rooms have one, and it is all they see of Redis: packets out by `post`, packets in by `receiver.on_packets`, deaths by
`receiver.on_dead`. Everything runs on the loop's thread, but for the lease. PROTOCOL.md is about this file's behaviour.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, Protocol

import hiredis
from redis.exceptions import RedisError

from channel_layer.errors import LayerUnavailable
from channel_layer.liveness.failure_detector import FailureDetector
from channel_layer.liveness.lease import RENEWAL_INTERVAL_S, OwnLease
from channel_layer.liveness.lease_renewal import LeaseRenewal
from channel_layer.messaging.inbox import Inbox
from channel_layer.messaging.outbox import Outbox
from channel_layer.messaging.pubsub import PubSub
from channel_layer.messaging.shared_channels import SharedChannels
from channel_layer.process.local_process import identity
from channel_layer.protocol.codec import pack
from channel_layer.protocol.deployment import fleet_of
from channel_layer.protocol.events import Event
from channel_layer.protocol.keys import Keys
from channel_layer.protocol.names import node_name
from channel_layer.protocol.packets import VERSION, Packet
from channel_layer.redis.address import RedisAddress
from channel_layer.redis.connection import RedisConnection
from channel_layer.redis.managed_connection import ManagedConnection
from channel_layer.redis.sentinel import Primary, SentinelWatch
from channel_layer.settings import RedisSettings

log = logging.getLogger("towpath.node")

#: News: a worker has started that reads a channel of its own.
OWN_CHANNEL = "own channel"
#: How long a process that leaves waits for what it has said to be in Redis. Mail for the dead never is.
LAST_WORDS_S = 5.0
LAST_WORDS_LOOK_S = 0.005


class Receiver(Protocol):
    """What a room does with what comes. Nothing here may raise or wait."""

    def on_packets(self, sender: str, packets: list[list[Any]]) -> None:
        """Packets of one batch, in order."""

    def on_group_message(self, group: str, event: Event) -> None:
        """Somebody sent to a group that has members here."""

    def on_own_channel(self, worker: str) -> None:
        """`worker` has started, and reads a channel of its own."""

    def on_dead(self, node: str) -> None:
        """`node` held connections of ours and its lease is over; its last words have been read."""

    def on_redis(self, reachable: bool) -> None:
        """Redis is reachable (again), or it is not."""

    def on_loss(self) -> None:
        """Redis has lost our inbox, and most likely everything, without having been away: what was queued may be queued no more."""

    def on_doubt(self) -> None:
        """Packets may have been lost between us and anybody: say `sync` about every connection that is held."""


class Node:
    """One run of one process. Make it inside of a running loop, `start` it once, `close` it once."""

    def __init__(self, settings: RedisSettings, role: str, receiver: Receiver) -> None:
        self.name = node_name(role, secrets.token_hex(6))
        self.address = RedisAddress.parse(settings.url)
        self.keys = Keys(settings.prefix, self.address.db)
        self.settings = settings
        self.counters: Counter[str] = Counter()
        self._receiver = receiver
        self._loop = asyncio.get_running_loop()
        # Everything but leases lives so long without its owner: twice the longest wait, and never less than a minute.
        rest_ttl_ms = int(2000 * max(settings.queue_wait_s, 30.0))
        self.own_lease = OwnLease(settings.lease_ttl_s)
        self.outbox = Outbox(self.name, self.keys, lambda node: self.peers.suspect(node))
        said = (receiver.on_group_message, self._garbage, self._heard)
        self.groups = PubSub(self.address, self.keys, self.name, *said)
        self._commands = ManagedConnection(self.address, "commands", self._connected, lambda: receiver.on_redis(False))
        self._inbox = Inbox(
            self.address, self.keys.inbox(self.name), receiver.on_packets, self._garbage, receiver.on_loss
        )
        self.peers = FailureDetector(
            self.name, role, self.keys, self._commands, self._inbox, self.outbox, self.own_lease, self._died
        )
        self.channels = SharedChannels(
            self.name, self.keys, self.address, settings, self._commands, rest_ttl_ms, self._garbage
        )
        self._era: str | None = None  # of the last connection; None before the first
        self._primary: Primary | None = None  # as the Sentinels say, if there are any
        self._looks: asyncio.Task[None] | None = None
        self._sentinels = SentinelWatch(self.address, self._follow)
        belongs_to = {
            "app": settings.app,
            "mixed_apps": settings.allow_mixed_apps,
            "fleet": fleet_of(settings.generation),
        }
        facts = {
            "role": role,
            "version": VERSION,
            **{name: value for name, value in belongs_to.items() if value},
            "host": socket.gethostname(),
            **identity(),
            "started": int(time.clock_gettime(time.CLOCK_REALTIME)),
        }
        self.lease = LeaseRenewal(
            self.address,
            self.keys,
            self.name,
            facts,
            settings.lease_ttl_s,
            rest_ttl_ms,
            self.own_lease.asks,
            self._renewed_in_thread,
            lambda: self._loop.call_soon_threadsafe(self.own_lease.failed),
        )

    # -- life

    async def start(self) -> None:
        """Stand on the wire: connected, with an inbox that is read and a lease that is written. Raises LayerUnavailable."""
        await self._commands.start()
        await self._inbox.start()
        await self.groups.start()
        try:
            await asyncio.to_thread(self.lease.start)
        except RedisError as error:
            raise LayerUnavailable(f"the first lease could not be written: {error}") from error
        self._looks = self._loop.create_task(self._look_around())
        self._sentinels.start()
        if self.settings.generation:
            self.peers.announce("generation", self.settings.generation)

    async def close(self) -> None:
        """Leave on purpose: what was posted goes out, then lease, inbox and consumers go, connections end."""
        last_moment = self._loop.time() + LAST_WORDS_S
        while not self.outbox.empty and self.connection is not None and self._loop.time() < last_moment:
            await asyncio.sleep(LAST_WORDS_LOOK_S)
        if self._looks is not None:
            self._looks.cancel()
            await asyncio.gather(self._looks, return_exceptions=True)
        await self._sentinels.close()
        await self.peers.close()
        await self.channels.close()
        self.peers.announce("leaving", self.name)
        await self._inbox.close()
        await asyncio.to_thread(self.lease.stop)
        await self.groups.close()
        await self._commands.close()

    @property
    def connection(self) -> RedisConnection | None:
        """The connection for commands; None while Redis is unreachable."""
        return self._commands.connection

    def tell(self, figures: dict[str, Any], counters: Mapping[str, int]) -> None:
        """What `status` shows of this process from the next renewal on: its figures, and all that it has counted."""
        self.lease.turned_at = time.monotonic()
        self.lease.figures = {**figures, "counters": {**self.counters, **counters}}

    # -- packets

    def post(self, node: str, packet: Packet) -> None:
        """One packet for another process; it leaves with the others of this turn of the loop."""
        self.outbox.post(node, pack(packet))

    async def publish(self, group: str, event: Event) -> None:
        """One publish. Raises LayerUnavailable, InvalidMessage."""
        if self.connection is None:
            raise LayerUnavailable("not connected to Redis")
        try:
            await self.connection.execute("PUBLISH", self.keys.group(group), pack(event))
        except hiredis.ReplyError as error:
            raise LayerUnavailable(f"Redis refused to publish: {error}") from error

    # -- news

    def _heard(self, what: str, node: str) -> None:
        """News about a process; of a generation there is its name instead of the process'."""
        if node == self.name:
            if what == "dead":
                log.warning("%s was declared dead, and is not", node)
                self._receiver.on_doubt()
        elif what == "generation":
            self.channels.heard_generation(node)
        elif what == OWN_CHANNEL:
            self._receiver.on_own_channel(node)
        elif what == "leaving":
            self.peers.bid_farewell(node)
        elif what == "dead":
            self.peers.mourn(node)

    def _died(self, node: str) -> None:
        self.counters["peers.dead"] += 1
        self._receiver.on_dead(node)

    # -- what Redis tells

    def _connected(self, connection: RedisConnection) -> None:
        before, self._era = self._era, connection.era
        if before != connection.era:  # all leases are gone, and ours is not yet found to be
            self.own_lease.doubt()
            self.lease.moved = before is not None
            for link in self._other_links():
                link.renew_unless(connection.era)
        self._inbox.make(connection)
        self.outbox.connected(connection)
        self.channels.connected(connection)
        self._receiver.on_redis(True)
        if before is not None:
            self._receiver.on_doubt()

    def _other_links(self) -> list[ManagedConnection]:
        return [self._inbox.link, self.groups.link, *self.channels.links]

    def _follow(self, primary: Primary) -> None:
        """All links, and the lease, are at one server: who is half at another hears nobody, and is heard by nobody."""
        if self._primary is not None and primary.supersedes(self._primary):
            log.warning("Redis is at %s:%d now, say the Sentinels", primary.host, primary.port)
            self.lease.moved = True
        self._primary = primary
        for link in (self._commands, *self._other_links()):
            link.follow(primary)

    def _garbage(self) -> None:
        self.counters["packets.malformed_batch"] += 1

    # -- leases

    def _renewed_in_thread(self, asked_at: float, found: bool) -> None:
        self._loop.call_soon_threadsafe(self._renewed, asked_at, found)

    def _renewed(self, asked_at: float, found: bool) -> None:
        if self.own_lease.renewed(asked_at, found):
            self.counters["lease.lapsed"] += 1
            log.warning("the lease of %s had lapsed: others may have thought it dead", self.name)
            self._inbox.make_again()
            self._receiver.on_doubt()

    async def _look_around(self) -> None:
        """Once a second: is everybody alive whose death would matter? And who need not be remembered?"""
        while True:
            await asyncio.sleep(RENEWAL_INTERVAL_S)
            self.outbox.forget_idle()
            self.counters["groups.subscription_dead"] += self.groups.look(self.connection)
            self.counters["groups.interrupted"] = self.groups.gaps
            await self.peers.look()
