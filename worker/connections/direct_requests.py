"""Invites interface servers to send requests directly, and starts those that come.

Before any of them begins, its interface server is told (`invite`). One that may start only once waits until Redis has confirmed that: if
this worker dies before, the interface server finds no acknowledgement, and opens the request again. invitations.py decides how many are
invited. PROTOCOL.md, "Invitations"; P2, P3.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from time import monotonic
from typing import Any, Final

from channel_layer.protocol import packets
from channel_layer.protocol.codec import pack
from channel_layer.protocol.flow_control import WINDOW_BYTES_MAX
from channel_layer.protocol.packets import OPEN_ONCE, Cancel, Close
from channel_layer.redis.connection import Answer, ignore
from worker.connections.adoption import Key
from worker.connections.context import WorkerContext
from worker.connections.invitations import Invitations
from worker.connections.loop_lag import BLOCKED_S
from worker.connections.queue_consumer import Admission, QueueConsumer
from worker.connections.registry import ConnectionRegistry

INTERFACE: Final = "interface."  #: begins the names of interface servers
QUEUE_FIRST_S: Final = 0.01
REPEAT_S: Final = 10.0  #: every invitation is repeated after so long

#: What an interface server is told: its quota, and whether there are free places, whatever the quota.
Offer = tuple[int, bool]

_CANCEL: Final = packets.CANCEL
_OPEN: Final = Admission.OPEN


class DirectRequest:
    """A request that came directly and has not begun. `behind`: the packets that came for it since. `once`: it may start only once."""

    __slots__ = ("behind", "once", "packet")

    def __init__(self, packet: list[Any]) -> None:
        self.packet = packet
        self.behind: list[list[Any]] | None = None
        self.once = len(packet) <= OPEN_ONCE or packet[OPEN_ONCE] is not False


class DirectRequests:
    """The invitations of one worker, and the requests that came by them and have not begun."""

    def __init__(
        self,
        context: WorkerContext,
        registry: ConnectionRegistry,
        consumer: QueueConsumer,
        on_packets: Callable[[str, list[Any]], None],
    ) -> None:
        """on_packets: gets the packets that came for a request before it began."""
        self._context = context
        self._node = context.node
        self._registry = registry
        self._consumer = consumer
        self._on_packets = on_packets
        self._loop = asyncio.get_running_loop()
        self.invitations = Invitations()
        self._update_timer: asyncio.TimerHandle | None = None
        self._offers: dict[str, Offer] = {}  # what each was told last
        self._repeat_at = 0.0
        #: Those that came in this turn of the loop, and those whose acknowledgement Redis has not confirmed.
        self._waiting: dict[Key, DirectRequest] = {}
        self._new: list[Key] = []
        self.begun_count = 0

    # -- invitations

    def update(self) -> None:
        """Tell each interface server how many requests it may send, if that has changed. Called twice a second at least."""
        if not self._context.direct:
            return
        self.invitations.learn(self._interfaces(), self._node.peer_leases)
        now = self._loop.time()
        if now >= self._repeat_at:  # an interface server that took this worker for dead has forgotten its invitation
            self._offers, self._repeat_at = {}, now + REPEAT_S
        offer = self._offer()
        for name in self.invitations.guests:
            if self._offers.get(name) != offer:
                self._invite(name, offer)

    @property
    def needs_leases(self) -> bool:
        """True if the leases of other processes are worth reading: interface servers say there that they take invitations."""
        return self._context.direct and self.invitations.needs_leases(self._interfaces())

    def _interfaces(self) -> list[str]:
        return [name for name in self._node.living if name.startswith(INTERFACE)]

    def update_soon(self) -> None:
        """Update when what waits on the shared channel has had its chance: capacity is free again."""
        if self._update_timer is None:
            self._update_timer = self._loop.call_later(QUEUE_FIRST_S, self._update_now)

    def stop(self) -> None:
        """Invite no more: the process ends."""
        if self._update_timer is not None:
            self._update_timer.cancel()

    def _update_now(self) -> None:
        self._update_timer = None
        self.update()

    def on_blocked(self) -> None:
        """Invite no interface server for a while: the event loop was blocked."""
        self.invitations.blocked(self._loop.time())
        self.update()

    def invite_again(self) -> None:
        """Repeat all invitations: they may have been lost with Redis' data."""
        offer = self._offer()
        for name in self.invitations.guests:
            self._invite(name, offer)

    def _offer(self) -> Offer:
        if self._consumer.admission is not _OPEN or self._node.yields_to_newer:
            return 0, False
        now = self._loop.time()
        if self._consumer.lag.blocked_s > BLOCKED_S:
            self.invitations.blocked(now)
        waiting = self._consumer.queue_length(now)  # what waits is served before what comes
        taken = self._registry.reserved["http"] + waiting
        free = self._context.host.free("http", self._context.is_alone) - taken
        return self.invitations.quota(free, now), free > 0

    def _invite(self, name: str, offer: Offer) -> None:
        self._node.post(name, self._invitation(name, offer))

    def _invite_and_flush(self, name: str) -> None:
        """Invite in one batch with what the first steps have sent; it need not wait for the next turn of the loop."""
        self._invite(name, self._offer())  # as it is behind these steps: they may have blocked the loop
        self._node.flush()

    def _invitation(self, name: str, offer: Offer) -> packets.Packet:
        self._offers[name] = offer
        quota, has_places = offer
        return packets.invite(quota, self.invitations.last(name), has_places)

    @property
    def waiting_count(self) -> int:
        """The number of requests that have come and not begun."""
        return len(self._waiting)

    def on_dead(self, interface: str) -> None:
        """Drop what a dead interface server has sent: its clients are gone."""
        for key in [key for key in self._waiting if key[0] == interface]:
            self._drop(key)

    # -- requests

    def on_open(self, interface: str, packet: list[Any]) -> None:
        """Receive a request. It begins in a later turn of the loop, unless it is withdrawn before."""
        if not self.invitations.is_next(interface, packet[1]):
            return
        key = (interface, packet[1], packet[2])
        self._waiting[key] = DirectRequest(packet)
        self._registry.reserved["http"] += 1
        if not self._new:
            self._loop.call_soon(self._acknowledge)
        self._new.append(key)

    def buffer(self, key: Key, packet: list[Any]) -> bool:
        """Keep a packet until its request begins; a `cancel` withdraws that. False: no such request is here."""
        request = self._waiting.get(key)
        if request is None:
            return False
        if packet[0] != _CANCEL:
            if request.behind is None:
                request.behind = []
            request.behind.append(packet)
        else:
            self._drop(key)
            if packet[3] == Cancel.RECALLED:
                self._refuse(key)
            self._consumer.read_more()  # what was reserved for it is free again
        return True

    def _drop(self, key: Key) -> DirectRequest | None:
        request = self._waiting.pop(key, None)
        if request is not None:
            self._registry.reserved["http"] -= 1
        return request

    def _refuse(self, key: Key) -> None:
        interface, number, epoch = key
        self._node.post(interface, packets.close(number, epoch, Close.NOT_STARTED))

    def _acknowledge(self) -> None:
        """Acknowledge the requests of this turn."""
        new, self._new = self._new, []
        by_interface: dict[str, tuple[list[Key], list[Key]]] = {}
        for key in new:
            if key[0] not in by_interface:
                by_interface[key[0]] = [], []
            request = self._waiting.get(key)
            if request is not None:
                once, others = by_interface[key[0]]
                (once if request.once else others).append(key)
        offer = self._offer()
        for interface, (once, others) in by_interface.items():
            self._acknowledge_to(interface, offer, once, others)

    def _acknowledge_to(self, interface: str, offer: Offer, once: list[Key], others: list[Key]) -> None:
        """`once` begin when Redis has confirmed the acknowledgement; `others` behind it, or before it if it comes soon or is not awaited.

        It is not awaited where no other worker could get what is asked back. A command for the acknowledgement alone wakes Redis and the
        interface server, and is a third of the commands for small requests.
        """
        if not once and (self._context.is_alone or self.invitations.is_quick):
            self._begin(others)
            self._loop.call_soon(self._invite_and_flush, interface)  # behind their first steps
            return
        on_answer = partial(self._confirmed, once) if once else ignore
        self._node.send_alone(interface, pack(self._invitation(interface, offer)), on_answer)
        if self._node.waiting_bytes(interface):  # an older invitation may be among that, and comes behind this one
            self._offers.pop(interface, None)
        if others:
            self._loop.call_soon(self._begin, others)

    def _confirmed(self, keys: Sequence[Key], answer: Answer) -> None:
        """Begin what may start only once. Without a confirmation it does not, and another worker may."""
        if isinstance(answer, bytes):
            self._begin(keys)
            return
        for key in keys:
            if self._drop(key) is not None:
                self._refuse(key)
        self._consumer.read_more()

    def _begin(self, keys: Sequence[Key]) -> None:
        began_s = monotonic()
        free = self._context.host.free("http", self._context.is_alone) - self._registry.reserved["http"] + len(keys)
        for key in keys:
            request = self._drop(key)
            if request is None:
                continue  # its client has left, or it was asked back
            if free <= 0 or self._consumer.admission is not _OPEN:
                self._refuse(key)
                continue
            free -= 1
            self._start(key, request)
        self._consumer.read_more()  # nothing is reserved for them any more, and perhaps the host is full now
        self._loop.call_soon(self._have_begun, len(keys), began_s)  # behind the first step of each

    def _have_begun(self, count: int, began_s: float) -> None:
        self.invitations.began(count, monotonic() - began_s)
        self._consumer.lag.check_turn(began_s)

    def _start(self, key: Key, request: DirectRequest) -> None:
        self.begun_count += 1
        window = self._registry.budget.grant(1, WINDOW_BYTES_MAX)
        self._consumer.start_instance(key, request.packet, window, directly=True)
        if request.behind:
            self._on_packets(key[0], request.behind)
