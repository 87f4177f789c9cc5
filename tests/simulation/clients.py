"""The clients of the simulated world, each with its socket in one interface server: what they do, and what they may never see."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any

from channel_layer.protocol.events import EVENT_OVERHEAD_BYTES, Event, payload_size_bytes
from channel_layer.protocol.flow_control import WINDOW_BYTES_SMALL
from channel_layer.protocol.scope import Scope
from interface_server.connections.connection import DEATHS_MAX
from interface_server.connections.interfaces import EndReason
from interface_server.groups.interfaces import PushedMessage
from tests.simulation.applications import PART_SIZE_BYTES_MAX
from tests.simulation.marks import Mark, mark_of
from tests.simulation.process import Process
from tests.simulation.record import Record

#: All windows of the simulated world are of this size, and no event is larger than this.
WINDOW_BYTES = WINDOW_BYTES_SMALL
#: A body of so many parts is more than an interface server keeps for another start.
LONG_PARTS = 24
#: So many addresses have all clients together, where that matters.
ADDRESSES = 3
EVENT_SIZE_BYTES_MAX = PART_SIZE_BYTES_MAX + EVENT_OVERHEAD_BYTES


class Client:
    """One client. Implements `interface_server.connections.interfaces.Client`."""

    def __init__(self, process: Process, record: Record, name: str, kind: str, random: Random) -> None:
        self.process = process
        self.name = name
        self.kind = kind
        self.over = ""  # how it ended
        self.accepted = False
        self.has_body = kind in ("POST", "PUT")
        self.parts = random.choice((1, 2, 3, 3, 9, LONG_PARTS)) if self.has_body or kind == "websocket" else 1
        self.resumable: bool | str = random.choice((False, True, True, "crash")) if kind == "websocket" else False
        self.sent_parts = 0
        self.echoes = 0
        self.lost = 0  # echoes that went with an instance that died
        self._deaths: tuple[float, ...] = ()
        self._may_lose = False  # the instance before this one has died
        self.upstream: Any = None
        self._record = record
        self._random = random
        self._instance: int | None = None  # whose output we are getting
        self._index = Counter[str]()
        self._paused = False
        self._undelivered = 0
        self._takes_at_once = random.random() < 0.5
        self._slowness_s = random.choice((0.1, 0.1, 1.0))
        self._leaves_after_s = random.choice((0.0, 0.001, 0.01, 0.1, 1.0, 3.0)) if random.random() < 0.35 else None

    def arrive(self) -> None:
        """The client connects. Runs on the loop of the interface server, as everything here."""
        scope: Event = {"type": "websocket" if self.kind == "websocket" else "http", "path": self.name, "headers": []}
        scope["client"] = [f"192.0.2.{int(self.name.rpartition('/')[2]) % ADDRESSES}", 1]
        if self.kind == "websocket":
            scope["resumable"] = self.resumable
        else:
            scope["method"] = self.kind
        body, more = (b"0", self.parts > 1) if self.has_body else (b"", False)
        self.sent_parts = 1 if self.has_body else 0
        self.upstream = self.process.dispatcher.open(self, Scope(scope), body, more)
        self._record.tell(f"{self.name} arrives at {self.process.role} as {self.upstream.channel}")
        if self._leaves_after_s is not None:
            self._later(self._leaves_after_s * self._random.uniform(0.5, 1.0), self._leave)
        if self.has_body:
            self._send_soon()

    # -- interface_server.connections.interfaces.Client

    def deliver(self, events: Sequence[Event], size_bytes: int) -> None:
        check = self._record.check
        check(
            len(self.upstream.connection.deaths) <= DEATHS_MAX,
            f"P6: {self.name} lives though {DEATHS_MAX + 1} owners have died",
        )
        check(not self.over, f"{self.name} was given output after its end")
        shown_bytes = sum(map(payload_size_bytes, events))
        check(size_bytes >= shown_bytes, "sizes add up, what is swallowed included")
        self._undelivered += shown_bytes
        check(
            self._undelivered <= WINDOW_BYTES + EVENT_SIZE_BYTES_MAX,
            f"P5: {self._undelivered} bytes down: more than a window and one message",
        )
        for event in events:
            self._hear(event)
        if not self.over:
            self._take(size_bytes, shown_bytes)
        self._act(events)

    def push(self, pushed: PushedMessage) -> None:
        self._record.check(self.accepted, f"P1: {self.name} was pushed something before its accept")
        if (
            mark_of(pushed.event)["instance"] == self._instance
        ):  # anybody may send to a group, also an instance that is not the owner's
            self._hear(pushed.event)

    def end(self, end_reason: EndReason) -> None:
        self._record.check(not self.over, f"{self.name} was ended twice")
        self._record.check(end_reason is not EndReason.PACKETS_LOST or self._record.data_lost, "P1: a packet was lost")
        self._record.check(not self._promised(end_reason), f"P6, P7: {self.name} ended as {end_reason.name}")
        self._over(end_reason.name)

    def resume(self) -> None:
        self._record.check(not self.over and self._paused, f"{self.name} was resumed without having been paused")
        self._paused = False
        self._send_soon()

    def adopted(self) -> None:
        """A worker has it; no timer of ours depends on that."""

    request = ""
    mid_message = False  #: messages are small here, and whole
    last_worker = ""

    def on_body_requested(self) -> None:
        self._record.check(False, "nobody waits for 100 here")

    def _promised(self, end_reason: EndReason) -> bool:
        """Was this client promised not to see such an end, whatever is going on?"""
        if end_reason in (EndReason.FAILED, EndReason.FINISHED):
            return False  # the application's own
        if self._record.weather == "drains":
            return self.kind != "websocket" or not self.accepted or bool(self.resumable)
        if self._record.weather == "kills":
            replayable = self.kind != "POST" and self.parts < LONG_PARTS
            return replayable and (self._instance is None or self.resumable == "crash")
        return False

    # -- what it hears

    def _hear(self, event: Event) -> None:
        check, mark = self._record.check, mark_of(event)
        check(mark["client"] == self.name, f"P2: {self.name} got the output of {mark['client']}")
        if mark["instance"] != self._instance:
            self._watch_peer(mark["instance"])
        task = mark.get("task", "")
        due = self._index[task]
        index = mark["index"]
        if task == "said":  # publishes may be lost
            given_up = self.process.dispatcher.counters["order.given_up"]
            check(index >= due or given_up, f"P1: {self.name} got {index} of what was said where {due} was due")
        else:
            check(index == due, f"P1: {self.name} got {index} {task} where {due} was due")
        self._index[task] = index + 1
        if "echo" in mark:
            self._hear_echo(mark)

    def _watch_peer(self, instance: int) -> None:
        """The first word of an instance: only a WebSocket that asked for it may meet another one than its first."""
        check, deaths = self._record.check, self.upstream.connection.deaths
        if self._instance is not None:
            died = deaths != self._deaths
            check(instance > self._instance, f"P2: {self.name} got the output of an earlier instance")
            check(self.accepted and self.resumable, f"P2: {self.name} got the output of two instances")
            check(not died or self.resumable == "crash", f"{self.name} was resumed after a death, and had not asked")
            self._may_lose = self._may_lose or died
        self._deaths, self._instance, self._index = deaths, instance, Counter()

    def _hear_echo(self, mark: Mark) -> None:
        """No loss and no duplicate, but for what the dead had in their hands: that is lost, and never repeated."""
        check, echo = self._record.check, mark["echo"]
        if self._may_lose:
            check(echo >= self.echoes, f"P1: {self.name} got echo {echo} again, after a death")
            check(mark["found"] <= echo, f"P1: {self.name} was resumed at {mark['found']} and went on at {echo}")
            self.lost += echo - self.echoes
            self.echoes = echo
            self._may_lose = False
        check(echo == self.echoes, f"P1: {self.name} got echo {echo} where {self.echoes} was due")
        self.echoes = echo + 1

    def _act(self, events: Sequence[Event]) -> None:
        for event in events:
            if self.over:
                return
            if event["type"] == "websocket.accept":
                self._record.check(not self.accepted, f"{self.name} was accepted twice")
                self.accepted = True
                self._send_soon()
            elif event["type"] == "websocket.close":
                self._later(self._random.uniform(0.0, 0.05), self._leave)
            elif event["type"] == "http.response.body" and not event["more_body"]:
                self._record.check(self.echoes == (self.parts if self.has_body else 0), "P1: all parts echoed")
                self._over("complete")
                self.upstream.complete()

    def _take(self, size_bytes: int, shown_bytes: int) -> None:
        if self._takes_at_once:
            self._delivered(size_bytes, shown_bytes)
        else:
            self._later(self._random.uniform(0.0, self._slowness_s), lambda: self._delivered(size_bytes, shown_bytes))

    def _delivered(self, size_bytes: int, shown_bytes: int) -> None:
        self._undelivered -= shown_bytes
        if not self.over:
            self.upstream.delivered(size_bytes)

    # -- what it does

    def _send_soon(self) -> None:
        if self.sent_parts < self.parts:
            self._later(self._random.choice((0.0, 0.001, 0.02, 0.3)), self._send)

    def _send(self) -> None:
        if self.over or self._paused or self.sent_parts >= self.parts:
            return
        payload = bytes(self._random.randint(0, PART_SIZE_BYTES_MAX))
        number = self.sent_parts
        self.sent_parts += 1
        event: Event = {"client": self.name, "n": number}
        if self.kind == "websocket":
            event.update(type="websocket.receive", bytes=payload)
        else:
            event.update(type="http.request", body=payload, more_body=self.sent_parts < self.parts)
        has_credit = self.upstream.forward(event, payload_size_bytes(event))
        if self.kind == "websocket":
            self._look_at_what_waits(has_credit)
        if has_credit:
            self._send_soon()
        else:
            self._paused = True

    def _look_at_what_waits(self, has_credit: bool) -> None:
        """Between two owners an open socket is read up to a window, and no further."""
        waiting_bytes = sum(size for _, size in self.upstream.connection.waiting or ())
        bound = WINDOW_BYTES + 2 * EVENT_SIZE_BYTES_MAX
        self._record.check(waiting_bytes <= bound, f"P5: {waiting_bytes} bytes up wait: more than a window")
        deaf = self.accepted and not self.upstream.owned and not has_credit and waiting_bytes < WINDOW_BYTES
        self._record.check(not deaf, f"P7: {self.name} is between two owners, and nobody would hear its ping")

    def _leave(self) -> None:
        if not self.over:
            self._over("left")
            self.upstream.leave(1001, "")

    def _over(self, how: str) -> None:
        self.over = how
        self._record.tell(f"{self.name} is over: {how}")

    def _later(self, delay_s: float, what: Any) -> None:
        self.process.loop.call_later(delay_s, what)
