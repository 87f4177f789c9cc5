"""Groups by publish and subscribe: one publish per group send, whatever the number of members.

A process subscribes to a group at its first member there and unsubscribes after its last. `subscribe` completes after Redis has
confirmed, so that a group send after it is certain to arrive. After a lost connection everything is subscribed again; what was
published meanwhile is lost, as with every publish. Such an interruption is counted, and logged with its length. How many messages
were missed is known by their numbers (group_sequence.py), and passed to the observer.

A subscription that receives nothing cannot know whether anything was published. So every 15 s the process publishes a probe to
itself on another connection; if it does not arrive, the connection of the subscriptions is made again. PROTOCOL.md, "Groups",
P10.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import Final, Protocol

import hiredis

from channel_layer.errors import NothingSent, ProtocolError, Undecryptable
from channel_layer.messaging.group_counters import Commands, GroupCounters
from channel_layer.messaging.group_sequence import COUNTER_TTL_MS, GroupSequences
from channel_layer.messaging.node_context import NodeContext
from channel_layer.process.rate_limited_log import RateLimitedLog
from channel_layer.process.rejection_log import RejectionLog
from channel_layer.protocol.codec import split_publish, unpack
from channel_layer.protocol.events import Event
from channel_layer.redis.connection import Answer, RedisConnection, settle
from channel_layer.redis.managed_connection import ManagedConnection
from channel_layer.redis.rejection_reasons import refusal
from channel_layer.redis.scripts import PUBLISH

log: Final = logging.getLogger("towpath.groups")

#: Counted in checks, one a second: a loop that was blocked has checked once, and reads first what came meanwhile.
PROBE_CHECKS: Final = 15
PROBE_ANSWER_CHECKS: Final = 5
RETRY_S: Final = 0.5


class PubSubObserver(Protocol):
    """Gets what is published to this process."""

    def on_group_message(self, group: str, event: Event) -> None:
        """Handle a message to a group that is subscribed to."""

    def on_messages_missed(self, group: str, missed: int) -> None:
        """Handle the loss of so many messages to a group, before the next one of it. See `Receiver.on_messages_missed`."""

    def on_news(self, what: str, node: str) -> None:
        """Handle news about a process, or about a generation, with its name in the place of the process'."""

    def on_malformed(self) -> None:
        """Something was dropped that is neither a message nor news."""


class PubSub:
    """The subscriptions of one process. commands: the connection for commands, on which probes and reads of counters are sent."""

    def __init__(self, context: NodeContext, observer: PubSubObserver, commands: Commands) -> None:
        self.managed = ManagedConnection(context.address, "groups", self._connected, self._lost, self._pushed)
        self.managed.sharing(context.outage)
        self._observer = observer
        self._commands = commands
        self._sequences = GroupSequences()
        self._counters = GroupCounters(context, commands, self._sequences, self._missed)
        self._encryption = context.encryption
        self._keys = context.keys
        self._prefix = context.keys.group("")
        self._news = context.keys.news
        self._probe = context.keys.probe(context.name)
        self._probing = False  # a probe was published and has not arrived
        self._probed_at = 0.0
        self.probe_s: float | None = None  #: how long the last probe that came back was under way
        self._checks = 0  # since then, or since the connection was made
        self._rejections = RejectionLog(log, "to subscribe")
        self._last_message_at = 0.0  # when anything arrived last
        self._interrupted_since: float | None = None  # groups with members here receive nothing
        self.interruptions = 0  #: how many interruptions are over
        self._loop = asyncio.get_running_loop()
        self._malformed_log = RateLimitedLog()
        self._missed_log = RateLimitedLog()
        self._confirmed: dict[str, asyncio.Future[None]] = {}  # by group: done once Redis has confirmed
        self._unanswered: Counter[str] = Counter()  # by group: requests without an answer

    async def start(self) -> None:
        """Connect. Raises LayerUnavailable."""
        await self.managed.start()

    async def close(self) -> None:
        """End all subscriptions."""
        await self.managed.close()

    def subscribe(self, group: str) -> asyncio.Future[None]:
        """Subscribe to a group. Returns a future that is done when Redis has confirmed; the same one for all callers meanwhile."""
        future = self._confirmed.get(group)
        if future is None:
            future = self._confirmed[group] = self._loop.create_future()
            self._sequences.follow(group)
            if self.managed.connection is not None:
                self._ask(self.managed.connection, group)
        return future

    def is_subscribed(self, group: str) -> bool:
        """True if, as far as is known, what is published to the group now will arrive."""
        future = self._confirmed.get(group)
        return future is not None and future.done() and self.managed.connection is not None

    def unsubscribe(self, group: str) -> None:
        """Unsubscribe from a group: its last member here has gone."""
        future = self._confirmed.pop(group, None)
        if future is None:
            return
        self._sequences.forget(group)
        self._counters.forget(group)
        if not future.done():
            future.cancel()
        if self.managed.connection is not None:
            self.managed.connection.write("UNSUBSCRIBE", self._prefix + group)

    def publish(self, group: str, packed: bytes) -> asyncio.Future[Answer]:
        """Publish one packed message to a group, by one command. The future has the script's result, with the group's shared channels.

        Raises NothingSent without a connection. The future fails with NothingSent, LayerUnavailable.
        """
        if (connection := self._commands.connection) is None:
            raise NothingSent("not connected to Redis")
        channel = self._prefix + group
        if self._encryption.enabled:
            packed = self._encryption.published(channel, packed)
        keys = (self._keys.group_sequence(group), self._keys.group_channels(group))
        future: asyncio.Future[Answer] = self._loop.create_future()

        def answered(answer: Answer) -> None:
            if isinstance(answer, hiredis.ReplyError):  # the script publishes at its very end
                answer = refusal(answer)(f"Redis refused to publish: {answer}")
            settle(future, answer)

        PUBLISH.call(connection, answered, len(keys), *keys, channel, packed, COUNTER_TTL_MS)
        return future

    def check(self) -> bool:
        """Check once a second, by probes, whether publishes arrive. Returns True if they do not; the connection is then made again."""
        commands = self._commands.connection
        if commands is None or self.managed.connection is None:
            self._probing = False
            return False
        self._counters.read()
        if self._rejections.count:
            self._rejections.accepted()
        self._checks += 1
        if self._probing and self._checks > PROBE_ANSWER_CHECKS:
            self._probing = False
            log.warning("what is published does not come: subscribing anew")
            self._begin_interruption(self._last_message_at)
            self.managed.renew()
            return True
        if not self._probing and self._checks >= PROBE_CHECKS:
            self._checks = 0
            self._probing = True
            self._probed_at = self._loop.time()
            commands.call(self._published, "PUBLISH", self._probe, "")
        return False

    def _published(self, answer: Answer) -> None:
        """Ignore a probe that was not published: it proves nothing."""
        if isinstance(answer, Exception):
            self._probing = False

    def _connected(self, connection: RedisConnection) -> None:
        self._unanswered.clear()
        self._checks = 0
        self._probing = False
        connection.write("SUBSCRIBE", self._news, self._probe)
        if not self._confirmed:
            self._interrupted_since = None  # all members that missed something have left
        for group in self._confirmed:
            self._ask(connection, group)

    def _lost(self) -> None:
        """Forget all confirmations: a join completes when its group is subscribed again."""
        self._begin_interruption(self._loop.time())
        self._counters.lost()
        for group, future in self._confirmed.items():
            if future.done():
                self._confirmed[group] = self._loop.create_future()

    def _begin_interruption(self, since: float) -> None:
        if self._interrupted_since is None and any(future.done() for future in self._confirmed.values()):
            self._interrupted_since = since

    def _end_interruption(self, since: float) -> None:
        """Count and log an interruption: everything is subscribed again."""
        self._interrupted_since = None
        self.interruptions += 1
        text = "what was sent to %d group(s) within %.2f s may be lost: their subscriptions were away, and stand again"
        log.warning(text, len(self._confirmed), self._loop.time() - since)

    def _ask(self, connection: RedisConnection, group: str) -> None:
        connection.write("SUBSCRIBE", self._prefix + group)
        self._unanswered[group] += 1

    def _pushed(self, answer: Answer) -> None:
        if not isinstance(answer, list):
            self._failed(answer)
            return
        self._last_message_at = self._loop.time()
        kind, channel, content = answer[0], answer[1].decode(), answer[2]
        group = channel[len(self._prefix) :]
        if kind == b"message":
            if channel == self._news:
                self._on_news(content)
            elif channel == self._probe:
                if self._probing and not content:  # else it is a marker
                    self.probe_s = round(self._loop.time() - self._probed_at, 4)
                self._probing = False
                self._counters.on_marker(content)
            else:
                self._deliver(group, content)
        elif kind == b"subscribe" and channel not in (self._news, self._probe):
            self._on_subscribed(group)

    def _failed(self, answer: Answer) -> None:
        """Connect anew after a moment. Confirmations are only counted, so it is not known which subscription was rejected."""
        self._rejections.rejected(answer)
        self._loop.call_later(RETRY_S, self._begin_anew, self.managed.connection)

    def _begin_anew(self, connection: RedisConnection | None) -> None:
        if connection is self.managed.connection:
            self.managed.renew()

    def _on_subscribed(self, group: str) -> None:
        """Count an answer to SUBSCRIBE. Only the last one confirms: an UNSUBSCRIBE stands between it and earlier ones."""
        self._unanswered[group] -= 1
        if self._unanswered[group] > 0:
            return
        del self._unanswered[group]
        if self._interrupted_since is not None and not self._unanswered:
            self._end_interruption(self._interrupted_since)
        future = self._confirmed.get(group)
        if future is not None and not future.done():
            future.set_result(None)
            self._counters.on_subscribed(group)

    def _on_news(self, content: bytes) -> None:
        """Pass on news about a process: [what, node]."""
        try:
            what, node = self._encryption.value(self._news, unpack(content))
            if type(what) is not str or type(node) is not str:
                raise ProtocolError("news are two strings")
        except Undecryptable as error:
            self._encryption.report("news", error)
            return
        except (ProtocolError, TypeError, ValueError) as error:
            log.warning("dropped news: %s", error)
            self._observer.on_malformed()
            return
        self._observer.on_news(what, node)

    def _deliver(self, group: str, content: bytes) -> None:
        try:
            number, packed = split_publish(content)
            event = unpack(packed)
            if self._encryption.enabled or type(event) is bytes:
                event = self._encryption.value(self._prefix + group, event)
            if not isinstance(event, dict) or not isinstance(event.get("type"), str):
                raise ProtocolError("a message is a map with a type")
        except Undecryptable as error:
            self._encryption.report(f"a message to group {group}", error)
            return
        except ProtocolError as error:
            if times := self._malformed_log.count(self._loop.time()):
                log.warning("dropped a message to group %s: %s; %d such since the last such line", group, error, times)
            self._observer.on_malformed()
            return
        if number is not None and (missed := self._sequences.on_message(group, number)):
            self._missed(group, missed)
        self._observer.on_group_message(group, event)

    def _missed(self, group: str, missed: int) -> None:
        if times := self._missed_log.count(self._loop.time()):
            text = "%d message(s) to group %s were missed while its subscription was away; %d such since the last such line"
            log.warning(text, missed, group, times)
        self._observer.on_messages_missed(group, missed)
