"""The clients of the simulated world, each with its socket in one interface server: what they do, and what they may never see."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from channel_layer.credit import WINDOW_BYTES_MIN
from channel_layer.events import EVENT_OVERHEAD_BYTES, Event, payload_size_bytes
from interface_server.client import Ending, Pushed
from tests.simulation.applications import PART_SIZE_BYTES_MAX
from tests.simulation.process import Process
from tests.simulation.record import Record

#: All windows of the simulated world are of this size, and no event is larger than this.
WINDOW_BYTES = WINDOW_BYTES_MIN
EVENT_SIZE_BYTES_MAX = PART_SIZE_BYTES_MAX + EVENT_OVERHEAD_BYTES


class Client:
    """One client. Implements `interface_server.client.Client`."""

    def __init__(self, process: Process, record: Record, name: str, kind: str, random: Random) -> None:
        self.process = process
        self.name = name
        self.kind = kind
        self.over = ""  # how it ended
        self.accepted = False
        self.parts = random.choice((1, 2, 3, 3, 9)) if kind != "GET" else 1
        self.sent_parts = 0
        self.echoed: list[int] = []
        self.upstream: Any = None
        self._record = record
        self._random = random
        self._instance: int | None = None  # whose output we are getting
        self._index = 0
        self._halted = False
        self._undelivered = 0
        self._takes_at_once = random.random() < 0.5
        self._leaves_after_s = random.choice((0.0, 0.001, 0.01, 0.1, 1.0, 3.0)) if random.random() < 0.35 else None

    def arrive(self) -> None:
        """The door opens. Runs on the loop of the interface server, as everything here."""
        scope: Event = {"type": "websocket" if self.kind == "websocket" else "http", "path": self.name, "headers": []}
        if self.kind != "websocket":
            scope["method"] = self.kind
        body, more = (b"0", self.parts > 1) if self.kind == "POST" else (b"", False)
        self.sent_parts = 1 if self.kind == "POST" else 0
        self.upstream = self.process.pump.open(self, scope, body, more)
        self._record.tell(f"{self.name} arrives at {self.process.role} as {self.upstream.channel}")
        if self._leaves_after_s is not None:
            self._later(self._leaves_after_s * self._random.uniform(0.5, 1.0), self._leave)
        if self.kind == "POST":
            self._send_soon()

    # -- interface_server.client.Client

    def deliver(self, events: Sequence[Event], size_bytes: int) -> None:
        check = self._record.check
        check(not self.over, f"{self.name} was given output after its end")
        check(size_bytes == sum(map(payload_size_bytes, events)), "sizes add up")
        self._undelivered += size_bytes
        check(self._undelivered <= WINDOW_BYTES + EVENT_SIZE_BYTES_MAX, "P5: more than a window and one message down")
        for event in events:
            self._hear(event)
        if not self.over:
            self._take(size_bytes)
        self._act(events)

    def push(self, pushed: Pushed) -> None:
        self._record.check(False, "nobody pushes here")

    def end(self, ending: Ending) -> None:
        self._record.check(not self.over, f"{self.name} was ended twice")
        self._record.check(ending is not Ending.HOLE, "P1: a packet was lost")
        self._over(ending.name)

    def resume(self) -> None:
        self._record.check(not self.over and self._halted, f"{self.name} was resumed without having been halted")
        self._halted = False
        self._send_soon()

    def adopted(self) -> None:
        """A worker has it; no timer of ours depends on that."""

    def wanted(self) -> None:
        self._record.check(False, "nobody waits for 100 here")

    # -- what it hears

    def _hear(self, event: Event) -> None:
        check = self._record.check
        check(event["client"] == self.name, f"P2: {self.name} got the output of {event['client']}")
        if self._instance is None:
            self._instance = event["instance"]
        check(event["instance"] == self._instance, f"P2: {self.name} got the output of two instances")
        check(event["index"] == self._index, f"P1: {self.name} got {event['index']} where {self._index} was due")
        self._index = event["index"] + 1
        if "echo" in event:
            check(event["echo"] == len(self.echoed), f"P1: {self.name} got echo {event['echo']} after {self.echoed}")
            self.echoed.append(event["echo"])

    def _act(self, events: Sequence[Event]) -> None:
        for event in events:
            if self.over:
                return
            if event["type"] == "websocket.accept":
                self.accepted = True
                self._send_soon()
            elif event["type"] == "websocket.close":
                self._later(self._random.uniform(0.0, 0.05), self._leave)
            elif event["type"] == "http.response.body" and not event["more_body"]:
                self._record.check(
                    len(self.echoed) == (self.parts if self.kind == "POST" else 0), "P1: all parts echoed"
                )
                self._over("complete")
                self.upstream.complete()

    def _take(self, size_bytes: int) -> None:
        if self._takes_at_once:
            self._delivered(size_bytes)
        else:
            self._later(self._random.uniform(0.0, 0.1), lambda: self._delivered(size_bytes))

    def _delivered(self, size_bytes: int) -> None:
        self._undelivered -= size_bytes
        if not self.over:
            self.upstream.delivered(size_bytes)

    # -- what it does

    def _send_soon(self) -> None:
        if self.sent_parts < self.parts:
            self._later(self._random.choice((0.0, 0.001, 0.02, 0.3)), self._send)

    def _send(self) -> None:
        if self.over or self._halted or self.sent_parts >= self.parts:
            return
        payload = bytes(self._random.randint(0, PART_SIZE_BYTES_MAX))
        number = self.sent_parts
        self.sent_parts += 1
        event: Event = {"client": self.name, "n": number}
        if self.kind == "websocket":
            event.update(type="websocket.receive", bytes=payload)
        else:
            event.update(type="http.request", body=payload, more_body=self.sent_parts < self.parts)
        if self.upstream.forward(event, payload_size_bytes(event)):
            self._send_soon()
        else:
            self._halted = True

    def _leave(self) -> None:
        if not self.over:
            self._over("left")
            self.upstream.leave(1001, "")

    def _over(self, how: str) -> None:
        self.over = how
        self._record.tell(f"{self.name} is over: {how}")

    def _later(self, delay_s: float, what: Any) -> None:
        self.process.loop.call_later(delay_s, what)
