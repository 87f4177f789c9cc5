"""The applications of the simulated world: each instance answers its one client, and numbers all that it says.

A GET gets a response in several parts; a POST or a PUT is echoed part by part as it is consumed. Some fail in the middle, some let
their client wait for long. What an instance will do is drawn from the seed and the name of its client alone. WebSockets are in sockets.py.
"""

from __future__ import annotations

from collections import deque
from random import Random
from typing import Any

from channel_layer.protocol.events import Event, payload_size_bytes
from channel_layer.protocol.packets import Close
from tests.simulation.process import Process
from tests.simulation.record import Record
from tests.simulation.sockets import Socket
from worker.connections.interfaces import Downstream

PART_SIZE_BYTES_MAX = 6_000


class Instance:
    """One run of the application. Implements `worker.connections.interfaces.Instance`."""

    kind = "http"

    def __init__(self, host: ApplicationHost, record: Record, number: int, scope: Event, line: Any) -> None:
        self.process = host.process
        self._host = host
        self.client: str = scope["path"]
        self.method: str = scope["method"]
        self.line: Downstream = line
        self.key = line.key
        self.over = ""  # how it ended
        self.number = number
        self.consumed_parts: list[int] = []
        self._record = record
        self._random = Random(f"{record.seed} {self.client}")
        self._told = 0
        self._answer: list[Event] = []  # parts of a response that has not started
        self._to_say: deque[tuple[Event, int | None]] = deque()
        self._saying = False
        self._unread: deque[tuple[Event, int]] = deque()
        self._reading = False
        self._unread_bytes = 0
        self._heard: int | None = None  # number of the last part from the client that was fed
        self._listens_first = self._random.random() < 0.5  # a POST is answered when all of it has been heard
        self._fails_at = self._random.randint(0, 4) if self._random.random() < 0.1 else -1

    def begin(self, body: bytes, more_body: bool) -> None:
        """The first step of the application."""
        self._record.tell(f"instance {self.number} of {self.client} starts in {self.process.role}")
        if self.method == "GET":
            self._say_start()
            for left in reversed(range(self._random.randint(1, 9))):
                self._say({"type": "http.response.body", "body": self._payload(), "more_body": left > 0})
        else:
            self._heard = 0
            self._echo({"n": 0, "more_body": more_body})

    # -- worker.connections.interfaces.Instance

    def deliver(self, event: Event, size_bytes: int) -> None:
        check = self._record.check
        check(not self.over, "an instance that is over was fed")
        check(event["client"] == self.client, f"P2: {self.client} was fed {event['client']}'s event")
        check(
            self._heard is not None and event["n"] == self._heard + 1, f"P1: part {event['n']} after {self._heard} up"
        )
        self._heard = event["n"]
        self._unread.append((event, size_bytes))
        self._unread_bytes += size_bytes
        window = self.line.incoming.window  # type: ignore[attr-defined]
        check(self._unread_bytes < window + size_bytes + 1, "P5: more than a window and one message unread up")
        self._read_on()

    def resume(self) -> None:
        self._go_on()

    def disconnect(self, code: int, reason: str) -> None:
        self._record.check(not self.over.startswith("disconnect"), "P8: two disconnects for one instance")
        self._end(f"disconnect {code}")

    @property
    def request(self) -> str:
        return f"{self.method} {self.client}"

    def hand_off(self) -> bool:
        return False

    def end_event_stream(self) -> bool:
        return False

    # -- what comes

    def _read_on(self) -> None:
        if self._unread and not self._reading and not self.over:
            self._reading = True
            self.process.loop.call_later(self._pause_s(), self._read)

    def _read(self) -> None:
        self._reading = False
        if self.over:
            return
        event, size_bytes = self._unread.popleft()
        self._unread_bytes -= size_bytes
        self.line.consumed(size_bytes)
        self._echo(event)
        self._read_on()

    def _echo(self, event: Event) -> None:
        """Part `n` was consumed: say so to the client."""
        self.consumed_parts.append(event["n"])
        more = event["more_body"]
        part = {"type": "http.response.body", "body": self._payload(), "more_body": more, "echo": event["n"]}
        self._answer.append(part)
        if not more or not self._listens_first:
            if not self._told:
                self._say_start()
            for part in self._answer:
                self._say(part)
            self._answer = []

    # -- what goes

    def _say_start(self) -> None:
        self._say({"type": "http.response.start", "status": 200, "headers": []})

    def _say(self, event: Event) -> None:
        event["client"] = self.client
        event["instance"] = self.number
        event["index"] = self._told
        self._told += 1
        self._to_say.append((event, payload_size_bytes(event)))
        self._go_on()

    def _go_on(self) -> None:
        if self._to_say and not self._saying and not self.over and self.line.has_credit:
            self._saying = True
            self.process.loop.call_later(self._pause_s(), self._send)

    def _send(self) -> None:
        self._saying = False
        if self.over:
            return
        event, size_bytes = self._to_say.popleft()
        if event["index"] == self._fails_at:
            self.line.close(Close.FAILED)
            self._end("failed")
            return
        self.line.send(event, size_bytes or 0)
        if event["type"] == "http.response.body" and not event["more_body"]:
            self.line.complete()
            self._end("complete")
        else:
            self._go_on()

    def _end(self, how: str) -> None:
        if not self.over:
            self.over = how
            self._record.tell(f"instance {self.number} of {self.client} is over: {how}")
            self._host.ended()

    def _payload(self) -> bytes:
        return bytes(self._random.randint(0, PART_SIZE_BYTES_MAX))

    def _pause_s(self) -> float:
        rare = self._random.random()
        return self._random.uniform(0.0, 1.5) if rare < 0.04 else self._random.uniform(0.0, 0.02)


class ApplicationHost:
    """One worker's applications. Implements `worker.connections.interfaces.Room`."""

    def __init__(self, process: Process, record: Record, instances: list[Instance | Socket], slots: int) -> None:
        self.process = process
        self.record = record
        self._instances = instances  # all of the world, in the order of their start
        self._slots = slots
        self._own: list[Instance | Socket] = []

    @property
    def running_count(self) -> int:
        return sum(not instance.over for instance in self._own)

    @property
    def websocket_count(self) -> int:
        return sum(isinstance(instance, Socket) and not instance.over for instance in self._own)

    @property
    def stream_count(self) -> int:
        return 0

    def taken(self) -> dict[str, bool]:
        return {}

    def free(self, kind: str, alone: bool = False) -> int:
        return self._slots - self.running_count

    def ended(self) -> None:
        """A slot is free again."""
        self.process.loop.call_soon(self.process.dispatcher.read_more)

    def start(self, scope: Event, body: bytes, more_body: bool, line: Downstream) -> Instance | Socket:
        number = len(self._instances)
        instance: Instance | Socket
        if scope["type"] == "websocket":
            instance = Socket(self, number, scope, line)
            self._keep(instance)
            instance.begin(scope)
        else:
            instance = Instance(self, self.record, number, scope, line)
            self._keep(instance)
            instance.begin(body, more_body)
        return instance

    def _keep(self, instance: Instance | Socket) -> None:
        self._instances.append(instance)
        self._own.append(instance)
