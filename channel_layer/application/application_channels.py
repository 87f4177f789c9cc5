"""The application channels of one process: their queues, their memberships in groups, and what is delivered to them.

A channel is made by `new_channel`. It ends with the WebSocket instance that made it, with the process, or when it was not received
from for `group_expiry`; its memberships end with it. PROTOCOL.md, "Groups", P10.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Container

from channel_layer.application.capacities import LayerSettings
from channel_layer.application.local_queue import LocalQueue
from channel_layer.application.receiving import clock
from channel_layer.current_connection import CURRENT_CONNECTION, Key
from channel_layer.errors import ChannelGone, ChannelLayerError
from channel_layer.messaging.membership import Membership
from channel_layer.protocol.codec import pack, unpack
from channel_layer.protocol.events import Event
from channel_layer.protocol.names import application_channel

RANDOM_BYTES = 6


class _Channel:
    """One channel: its queue, and what was decided when it was made."""

    __slots__ = ("abandoned_s", "expiry_s", "group_expiry_s", "name", "queue")

    def __init__(self, name: str, settings: LayerSettings, now: float) -> None:
        self.name = name
        self.queue = LocalQueue(settings.capacities.of(name), now)
        self.expiry_s = settings.expiry_s
        self.group_expiry_s = settings.group_expiry_s
        self.abandoned_s = settings.group_expiry_s if settings.abandoned_s is None else settings.abandoned_s

    def is_unused(self, now: float) -> bool:
        """True if no receiver waits, and none has been here for too long."""
        limit_s = self.abandoned_s if self.queue.abandoned else self.group_expiry_s
        return not self.queue.receiver_count and now - self.queue.received_at > limit_s


class ApplicationChannels:
    """All application channels of one process. Runs on the loop of its node, but for `queue_of`."""

    def __init__(self, node: str, counters: Counter[str], unsubscribe: Callable[[str], None]) -> None:
        """node: the name of this process. unsubscribe: called with each group that has lost its last member here."""
        self._node = node
        self._counters = counters
        self._unsubscribe = unsubscribe
        self._membership: Membership[str] = Membership()
        self._channels: dict[str, _Channel] = {}  # by the local part of the name
        self._made_by: dict[Key, list[str]] = {}

    def new(self, prefix: str, settings: LayerSettings) -> str:
        """Make a channel, and return its name."""
        name = application_channel(self._node, prefix, secrets.token_hex(RANDOM_BYTES))
        local = name.partition("!")[2]
        self._channels[local] = _Channel(name, settings, clock())
        if (instance := CURRENT_CONNECTION.get()) is not None:
            self._made_by.setdefault(instance, []).append(local)
        return name

    def queue_of(self, local: str) -> LocalQueue | None:
        """The queue of a channel; None if there is none. May be called by any thread."""
        channel = self._channels.get(local)
        return None if channel is None else channel.queue

    def put(self, local: str, event: Event, expiry_s: float | None = None) -> bool | None:
        """Deliver a message. Returns False if the channel is full, None if it does not exist; the message is dropped then.

        expiry_s: how long it may wait; None: as long as was decided when the channel was made.
        """
        channel = self._channels.get(local)
        if channel is None:
            return None
        now = clock()
        return channel.queue.put(event, now + (channel.expiry_s if expiry_s is None else expiry_s), now)

    def deliver(self, local: str, event: Event, expiry_s: float | None = None) -> None:
        """Deliver a message of another process, which cannot be told what becomes of it: drops are counted."""
        outcome = self.put(local, event, expiry_s)
        if outcome is None:
            self._counters["dropped.no_such_channel"] += 1
        elif not outcome:
            self._counters["dropped.channel_full"] += 1

    # -- groups

    def join(self, group: str, local: str, report_missed: bool = False) -> bool:
        """Make a channel a member. Returns False if there is no such channel. report_missed: it is told of missed messages."""
        if local not in self._channels:
            return False
        self._membership.add(group, local, report=report_missed or None)
        return True

    def deliver_missed(self, group: str, event: Event) -> None:
        """Deliver a message about missed messages to the members that asked for it."""
        for local in self._membership.reports(group):
            self.deliver(local, dict(event))

    def leave(self, group: str, local: str) -> bool:
        """End a membership. Returns False if there is no such channel."""
        if self._membership.discard(group, local):
            self._unsubscribe(group)
        return local in self._channels

    def deliver_to_group(self, group: str, event: Event, excluded: frozenset[str]) -> None:
        """Deliver a message to each member here; each gets a copy of its own."""
        packed: bytes | None = None
        for local in self._membership.members(group):
            if excluded and self._channels[local].name in excluded:
                continue
            if packed is None:
                copy, packed = event, pack(event)
            else:
                copy = unpack(packed)
            self.deliver(local, copy)

    # -- ends

    def end_with_instances(self, running: Container[Key]) -> None:
        """End the channels of application instances that are over."""
        for instance in [instance for instance in self._made_by if instance not in running]:
            for local in self._made_by.pop(instance):
                self._end(local)

    def drop_expired(self) -> None:
        """Drop messages that nobody took in time, and end channels that nobody has received from for too long."""
        now = clock()
        for local, channel in tuple(self._channels.items()):
            queue = channel.queue
            self._counters["dropped.expired"] += queue.drop_expired(now)
            if channel.is_unused(now):
                self._end(local)

    def clear(self) -> None:
        """End all memberships and drop all messages; the channels stay."""
        for local, channel in self._channels.items():
            channel.queue.clear()
            self._leave_all(local)

    def end_receivers(self, error: ChannelLayerError) -> None:
        """Let every receiver that waits, or comes later, raise an error as this one."""
        for channel in self._channels.values():
            channel.queue.end(error)

    def _end(self, local: str) -> None:
        self._leave_all(local)
        channel = self._channels.pop(local, None)
        if channel is not None:
            channel.queue.end(ChannelGone(f"{channel.name} is no channel of this process (any more)"))

    def _leave_all(self, local: str) -> None:
        for group in self._membership.remove(local):
            self._unsubscribe(group)
