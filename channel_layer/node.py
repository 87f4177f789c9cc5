"""A node: one run of one process on Redis, with its inbox, outbox, lease, groups, shared channels and peers.

Both process packages have one, and all that they do on Redis goes through it, or through a reader or writer of a channel that it
makes: packets out by `post`, packets in by `Receiver.on_packets`, deaths by `Receiver.on_dead`. They import what they exchange with
it (entries, offers, memberships, answers), and open no connection of their own. Everything but the lease runs on the loop's thread.
PROTOCOL.md describes the behaviour of this file.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import hiredis

from channel_layer.errors import LayerUnavailable, NothingSent
from channel_layer.liveness.failure_detector import FailureDetector
from channel_layer.liveness.key_agreement import check_keys
from channel_layer.liveness.lease import RENEWAL_INTERVAL_S, OwnLease
from channel_layer.liveness.lease_facts import lease_facts
from channel_layer.liveness.lease_renewal import FiguresWhileBlocked, LeaseRenewal, no_figures
from channel_layer.messaging.channel_reader import ChannelReader, EntryConsumer
from channel_layer.messaging.inbox import Inbox
from channel_layer.messaging.node_context import NodeContext
from channel_layer.messaging.outbox import Outbox
from channel_layer.messaging.pubsub import PubSub
from channel_layer.messaging.shared_channels import SharedChannels
from channel_layer.protocol.codec import pack
from channel_layer.protocol.keys import OWN_CHANNEL
from channel_layer.protocol.names import node_name
from channel_layer.protocol.packets import Packet
from channel_layer.receiver import Receiver
from channel_layer.redis import scripts as redis_scripts
from channel_layer.redis.blocking.primary_finder import Primary
from channel_layer.redis.connection import Argument, OnAnswer, RedisConnection
from channel_layer.redis.managed_connection import ManagedConnection
from channel_layer.redis.rejection_reasons import refusal
from channel_layer.redis.sentinel import SentinelWatch
from channel_layer.settings import RedisSettings

log: Final = logging.getLogger("towpath.node")

#: How long a process that shuts down waits until Redis has its packets. Packets for dead processes never get there, and a worker exits
#: by force 4 s beyond its graceful timeout (worker/lifecycle/shutdown_deadline.py).
FLUSH_TIMEOUT_S: Final = 3.0
FLUSH_POLL_S: Final = 0.005


class Node:
    """One run of one process. Make it inside a running loop, `start` it once, `close` it once."""

    def __init__(self, settings: RedisSettings, role: str, receiver: Receiver) -> None:
        """Make the node without connecting it. Raises ValueError for a URL that is none."""
        self.context = context = NodeContext.of(node_name(role, secrets.token_hex(6)), role, settings)
        self.name = context.name
        self.counters: Counter[str] = Counter()
        self._receiver = receiver
        self._loop = asyncio.get_running_loop()
        self._era: str | None = None  # of the last connection; None before the first
        self._primary: Primary | None = None  # as the Sentinels name it, if there are any
        self._checks: asyncio.Task[None] | None = None
        self._admitted = False  # the other processes and this one have the same keys
        self._own_lease = OwnLease(settings.lease_ttl_s)
        observer = _Observer(self, receiver)
        self._commands = ManagedConnection(context.address, "commands", self._connected, self._disconnected)
        self._commands.sharing(context.outage)
        self._inbox = Inbox(context, observer)
        self._outbox = Outbox(context, self._inbox_missing, receiver.on_unsent)
        self._groups = PubSub(context, observer, self._commands)
        self._channels = SharedChannels(context, self._commands, observer.on_malformed)
        self._peers = FailureDetector(
            context,
            commands=self._commands,
            inbox=self._inbox,
            outbox=self._outbox,
            own_lease=self._own_lease,
            on_dead=self._on_peer_dead,
        )
        self._sentinels = SentinelWatch(context.address, self._follow)
        self._lease = LeaseRenewal(context, lease_facts(context), _RenewalObserver(self))
        self.figures = self._lease.figures
        # Methods of the parts; most are called for each connection or message.
        self.acquire_peer, self.release_peer = self._peers.acquire, self._peers.release
        self.is_gone, self.is_certainly_gone = self._peers.is_gone, self._peers.is_certainly_gone
        self.read_inbox_up = self._peers.read_inbox_up
        self.suspect = self._peers.suspect
        self.take = self._channels.take
        self.channel_writer, self.requeue_writer = self._channels.channel_writer, self._channels.requeue_writer
        self.worker_channel_writer = self._channels.worker_channel_writer
        self.before_flush, self.flush = self._outbox.before_flush, self._outbox.flush
        self.post_long, self.send_alone = self._outbox.post_long, self._outbox.send_alone
        self.publish = self._groups.publish
        #: A group that has a member in this process, or has none any more; and whether it is subscribed to.
        self.subscribe, self.unsubscribe = self._groups.subscribe, self._groups.unsubscribe
        self.is_subscribed = self._groups.is_subscribed

    # -- life

    async def start(self) -> None:
        """Connect, make and read the inbox, and write the first lease. Raises LayerUnavailable, EncryptionMismatch.

        Even if it raises, `close` must be called.
        """
        await self._commands.start()
        await self._inbox.start()
        await self._groups.start()
        await check_keys(self.context, self.leases)  # before others can see this process
        try:
            await asyncio.to_thread(self._lease.start)
        except LayerUnavailable as error:
            kind = type(error) if isinstance(error, NothingSent) else refusal(error)
            raise kind(f"the first lease could not be written: {error}") from error
        self._checks = self._loop.create_task(self._check_regularly())
        self._sentinels.start()
        await check_keys(self.context, self.leases)  # again: another one may have started at the same moment
        self._admitted = True
        if self.context.settings.generation:
            self._peers.announce("generation", self.context.settings.generation)

    async def close(self) -> None:
        """Shut down: send what was posted, then delete lease, inbox and consumers, then end the connections."""
        last_moment = self._loop.time() + FLUSH_TIMEOUT_S
        while not self._outbox.empty and self._commands.connection is not None and self._loop.time() < last_moment:
            await asyncio.sleep(FLUSH_POLL_S)
        if self._checks is not None:
            self._checks.cancel()
            await asyncio.gather(self._checks, return_exceptions=True)
        await self._sentinels.close()
        await self._peers.close()
        await self._channels.close()
        if self._admitted:  # else it may be without the keys, and no process depends on it
            self._peers.announce("leaving", self.name)
        await self._inbox.close()
        await self._lease.end()
        await self._groups.close()
        await self._commands.close()

    @property
    def connected(self) -> bool:
        """True if Redis is reachable."""
        return self._commands.connection is not None

    def check_connected(self) -> None:
        """Raise NothingSent if there is no connection to Redis at present."""
        if self._commands.connection is None:
            raise self._commands.missing()

    @property
    def takes_packets(self) -> bool:
        """True if Redis is reachable, and has refused no packets lately."""
        outbox = self._outbox
        return self._commands.connection is not None and not (outbox.rejections.count and outbox.refused_lately)

    @property
    def era(self) -> str | None:
        """The era of Redis' data on the connection for commands; None while Redis is unreachable."""
        return None if self._commands.connection is None else self._era

    def report(
        self,
        figures: dict[str, Any],
        counters: Mapping[str, int],
        while_blocked: FiguresWhileBlocked = no_figures,
    ) -> None:
        """Set the figures and counters that the lease contains from the next renewal on, for `status` and for peers.

        while_blocked: see `LeaseRenewal.report`.
        """
        ours = {"probe_s": self._groups.probe_s, "counters": {**self.counters, **counters}}
        self._lease.report({**figures, **ours}, while_blocked)

    # -- packets

    def post(self, node: str, packet: Packet) -> None:
        """Queue one packet for another process; it leaves with the others of this turn of the loop."""
        self._outbox.post(node, pack(packet))

    def waiting_bytes(self, node: str) -> int:
        """The bytes that wait for `node`, without those of the batch under way."""
        return self._outbox.waiting_bytes(node)

    def run_script(
        self, script: redis_scripts.Script, on_answer: OnAnswer, keys: Sequence[str], *arguments: Argument
    ) -> None:
        """Run a script on the connection for commands. `on_answer` gets NothingSent if there is none."""
        if self._commands.connection is None:
            on_answer(self._commands.missing())
        else:
            script.call(self._commands.connection, on_answer, len(keys), *keys, *arguments)

    async def execute(self, *command: Argument) -> Any:
        """Run one command and return its answer. Raises NothingSent, also if Redis refuses it; LayerUnavailable without an answer."""
        if (connection := self._commands.connection) is None:
            raise self._commands.missing()
        try:
            return await connection.execute(*command)
        except hiredis.ReplyError as error:
            raise refusal(error)(f"Redis refused {command[0]}: {error}") from error

    # -- shared channels

    async def read_channel(self, channel: str, consumer: EntryConsumer) -> ChannelReader:
        """Read a shared channel from now on. Raises LayerUnavailable."""
        return await self._channels.read(channel, consumer)

    async def read_messages(self, channel: str, consumer: EntryConsumer) -> ChannelReader:
        """Read a shared channel of applications from now on. Raises LayerUnavailable."""
        return await self._channels.read_messages(channel, consumer)

    async def stop_reading(self, reader: ChannelReader) -> None:
        """Read a channel no longer."""
        await self._channels.stop_reading(reader)

    @property
    def yields_to_newer(self) -> bool:
        """True if a newer generation has started, to which this process leaves long-lived connections."""
        return self._channels.yields_to_newer

    # -- peers

    def announce_own_channel(self) -> None:
        """Publish that this process reads channels of its own."""
        self._peers.announce(OWN_CHANNEL, self.name)

    async def check_peers(self) -> None:
        """Check the leases of the peers now, and not only once a second."""
        await self._peers.check()

    async def leases(self) -> dict[str, dict[str, Any]]:
        """See `FailureDetector.leases`. Raises LayerUnavailable."""
        try:
            return await self._peers.leases()
        except hiredis.ReplyError as error:
            raise LayerUnavailable(f"the leases could not be read: {error}") from error

    async def has_lease(self, node: str) -> bool:
        """True if the lease of `node` exists. Raises LayerUnavailable if Redis does not answer that."""
        return bool(await self.execute("EXISTS", self.context.keys.lease(node)))

    def read_peer_leases(self, wanted: bool) -> None:
        """Set whether each check of the peers fills `peer_leases`."""
        self._peers.read_other_leases(wanted)

    @property
    def peer_leases(self) -> dict[str, dict[str, Any]]:
        """The lease of each other process by its name, at most two seconds old. Empty unless `read_peer_leases` asks for it."""
        return self._peers.other_leases

    @property
    def living(self) -> list[str]:
        """The names of all live processes, this one included; at most two seconds old."""
        return self._peers.living

    @property
    def same_role_count(self) -> int:
        """How many live processes have the role of this one, itself included; at most two seconds old."""
        return self._peers.same_role_count

    def since_last_renewal_s(self, now: float) -> float:
        """The time since the start of the last renewal of our lease that succeeded."""
        return self._own_lease.since_last_renewal_s(now)

    # -- news

    def _on_news(self, what: str, node: str) -> None:
        """Handle news about a process, or about a generation, with its name in the place of the process'."""
        if node == self.name:
            if what == "dead":
                log.warning("%s was declared dead, and is not", node)
                self._receiver.on_resync_needed()
        elif what == "generation":
            self._channels.generation_announced(node)
        elif what == "leaving":
            self._peers.peer_left(node)
        elif what == "dead":
            self._peers.confirm_dead(node)
        else:
            self._receiver.on_news(what, node)

    def _on_peer_dead(self, node: str) -> None:
        self.counters["peers.dead"] += 0 if self._peers.has_left(node) else 1
        self._receiver.on_dead(node)

    # -- events of Redis

    def _connected(self, connection: RedisConnection) -> None:
        before, self._era = self._era, connection.era
        if before != connection.era:  # all leases are gone, and the next renewal has not yet found out about ours
            self._own_lease.mark_interrupted()
            if before is not None:
                self._lease.server_moved()
            for managed in self._other_connections():
                managed.renew_unless(connection.era)
        self._inbox.make(connection)
        self._outbox.connected(connection)
        self._channels.connected(connection)
        self._receiver.on_redis(True)
        if before is not None:
            self._receiver.on_resync_needed()

    def _disconnected(self) -> None:
        self._receiver.on_redis(False)

    def _inbox_missing(self, node: str) -> None:
        self._peers.suspect(node)

    def _other_connections(self) -> list[ManagedConnection]:
        return [self._inbox.managed, self._groups.managed, *self._channels.connections]

    def _follow(self, primary: Primary) -> None:
        """Move all connections and the lease to the primary. With connections on two servers, a process and its peers cannot
        reach each other.
        """
        if self._primary is not None and primary.supersedes(self._primary):
            log.warning("Redis is at %s:%d now, by the Sentinels", primary.host, primary.port)
            self._lease.server_moved()
        self._primary = primary
        for managed in (self._commands, *self._other_connections()):
            managed.follow(primary)

    # -- leases

    def _on_renewed(self, asked_at: float, found: bool) -> None:
        if self._own_lease.renewed(asked_at, found):
            self.counters["lease.lapsed"] += 1
            log.warning("the lease of %s had lapsed: others may have thought it dead", self.name)
            self._inbox.make_again()
            self._receiver.on_resync_needed()

    async def _check_regularly(self) -> None:
        """Check once a second whether peers are alive and subscriptions work, and drop destinations that have no packets."""
        while True:
            await asyncio.sleep(RENEWAL_INTERVAL_S)
            self._lease.loop_turned()
            self._outbox.drop_idle()
            self.counters["groups.subscription_dead"] += self._groups.check()
            self.counters["groups.interrupted"] = self._groups.interruptions
            self.counters["packets.undecryptable"] = self.context.encryption.undecryptable
            self.context.encryption.refresh()
            await self._peers.check()


class _Observer:
    """Passes what the inbox and the subscriptions deliver straight to the node's receiver."""

    def __init__(self, node: Node, receiver: Receiver) -> None:
        self.on_packets = receiver.on_packets
        self.on_group_message = receiver.on_group_message
        self.on_data_lost = receiver.on_data_lost
        self.on_news = node._on_news
        self._on_messages_missed = receiver.on_messages_missed
        self._counters = node.counters

    def on_messages_missed(self, group: str, missed: int) -> None:
        """See `PubSubObserver.on_messages_missed`."""
        self._counters["groups.messages_missed"] += missed
        self._on_messages_missed(group, missed)

    def on_malformed(self) -> None:
        """See `InboxObserver.on_malformed`."""
        self._counters["packets.malformed_batch"] += 1


class _RenewalObserver:
    """Passes what the lease's thread reports to the loop's thread."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._own_lease = node._own_lease
        self._loop = asyncio.get_running_loop()

    def on_renewal_started(self) -> None:
        """See `RenewalObserver`."""
        self._own_lease.renewal_started()

    def on_renewed(self, asked_at: float, found: bool) -> None:
        """See `RenewalObserver`."""
        self._loop.call_soon_threadsafe(self._node._on_renewed, asked_at, found)

    def on_renewal_failed(self) -> None:
        """See `RenewalObserver`."""
        self._loop.call_soon_threadsafe(self._own_lease.renewal_failed)
