"""What lies between a process and Redis: every command is sent, executed and answered at three different moments.

Order is kept within a connection and nowhere else. A connection may be cut at any moment: of the commands that are on their way then,
the first few are executed and the others never; no answer comes back; either side notices in its own time. What a cut connection had
on its way is executed before a new one of the same process stands: the same machine would not overtake itself.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import hiredis

from tests.simulation.lua_scripts import CommandError
from tests.simulation.simulated_redis import Session, SeveralAnswers, SimulatedRedis
from tests.simulation.virtual_loop import VirtualClock, VirtualLoop

if TYPE_CHECKING:
    from tests.simulation.process import Process


#: What a simulated connection has for a socket: no descriptor, and no option to set.
NO_SOCKET = SimpleNamespace(fileno=lambda: -1, family=socket.AF_UNIX)


class Network:
    """Delays, and who can be reached. `outage_until`: Redis itself is away."""

    def __init__(self, clock: VirtualClock, redis: SimulatedRedis, random: Random) -> None:
        self.clock = clock
        self.redis = redis
        self.random = random
        self.processes: list[Process] = []
        self.slow_until = 0.0
        self.outage_until = 0.0
        #: Faults that wait for a moment: (what a command must contain, what then befalls its process).
        self.armed: list[tuple[bytes, Callable[[Process, Pipe], None]]] = []

    def delay_s(self) -> float:
        """One way. Mostly a fraction of a millisecond, sometimes much more."""
        random = self.random
        rare = random.random()
        if rare < 0.01 or self.clock.now < self.slow_until:
            return random.uniform(0.0, 0.4)
        return random.uniform(0.0, 0.03) if rare < 0.08 else random.uniform(0.000_05, 0.000_6)

    def reaches(self, process: Process) -> bool:
        """Does a packet of this process get through now?"""
        return self.clock.now >= max(self.outage_until, process.cut_off_until)

    def spring(self, process: Process, pipe: Pipe, data: bytes) -> None:
        """A command leaves, or an answer comes: the first fault that waited for its like comes a moment later."""
        found = next((trap for trap in self.armed if trap[0] in data), None)
        if found is not None:
            self.armed.remove(found)
            moment_s = self.random.choice((0.0, 0.000_3, 0.001, 0.005, 0.05)) * self.random.uniform(0.5, 1.5)
            self.clock.at(self.clock.now + moment_s, lambda: found[1](process, pipe))

    def connect(self, process: Process, protocol: asyncio.Protocol, established: asyncio.Future[Any]) -> None:
        """Make a connection, or fail."""

        def arrived() -> None:
            if established.done() or not process.alive:
                return
            if not self.reaches(process):
                established.set_exception(OSError("unreachable"))
                return
            pipe = Pipe(self, process, protocol)
            process.pipes.append(pipe)
            protocol.connection_made(pipe)
            established.set_result(pipe)

        self.clock.at(self.clock.now + 2 * self.delay_s(), lambda: process.loop.call_soon(arrived))


class Pipe(asyncio.Transport):
    """One connection, from the side of the process."""

    def __init__(self, network: Network, process: Process, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._network = network
        self._process = process
        self._protocol = protocol
        self._session = Session(self._answered)
        self._on_the_way: deque[bytes] = deque()
        self._up_at = self._down_at = 0.0
        self.whole = True

    def cut(self, noticed_after_s: float = 0.0) -> None:
        """Lose the connection: the first few commands under way are executed, the others never."""
        if not self.whole:
            return
        self.whole = False
        network = self._network
        self._process.pipes.remove(self)
        for _ in range(network.random.randint(0, len(self._on_the_way))):
            self._execute(self._on_the_way.popleft())
        self._on_the_way.clear()
        clock = network.clock
        late_s = network.random.choice(
            (0.0, 0.001, 2.5)
        )  # what it says into the void meanwhile is lost: also whole entries
        clock.at(clock.now + late_s, lambda: network.redis.drop(self._session))
        lost = ConnectionResetError("cut")
        clock.at(
            clock.now + noticed_after_s,
            lambda: self._process.loop.call_soon(self._protocol.connection_lost, lost) and None,
        )

    def _execute(self, data: bytes) -> None:
        self._network.redis.execute(self._session, unpacked(data))

    def _arrive(self) -> None:
        if self.whole:
            self._execute(self._on_the_way.popleft())

    def _answered(self, answer: Any) -> None:
        if not self.whole:
            return
        clock = self._network.clock
        self._down_at = max(self._down_at, clock.now + self._network.delay_s())
        data = packed(answer)
        clock.at(self._down_at, lambda: self._deliver(data))

    def _deliver(self, data: bytes) -> None:
        if self.whole:
            self._process.loop.call_soon(self._protocol.data_received, data)
            if self._network.armed:
                self._network.spring(self._process, self, data)

    # -- asyncio.Transport, as far as RedisConnection uses it

    def write(self, data: Any) -> None:
        if self.whole:
            clock = self._network.clock
            self._on_the_way.append(bytes(data))
            self._up_at = max(self._up_at, clock.now + self._network.delay_s())
            clock.at(self._up_at, self._arrive)
            if self._network.armed:
                self._network.spring(self._process, self, self._on_the_way[-1])

    def writelines(self, pieces: list[bytes]) -> None:
        self.write(b"".join(pieces))

    def abort(self) -> None:
        self.cut()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return NO_SOCKET if name == "socket" else default


def loop_of(network: Network, process: Process) -> VirtualLoop:
    """The event loop of one process; what it connects to is `network`."""
    return VirtualLoop(network.clock, lambda _, made: network.connect(process, *made))  # type: ignore[abstract]


def unpacked(data: bytes) -> list[bytes]:
    """The command in what was written: always exactly one."""
    reader = hiredis.Reader()
    reader.feed(data)
    command: list[bytes] = reader.gets()
    return command


def packed(answer: Any) -> bytes:
    """An answer in Redis' protocol."""
    if answer is None:
        return b"*-1\r\n"
    if isinstance(answer, int):
        return b":%d\r\n" % answer
    if isinstance(answer, bytes):
        return b"$%d\r\n%b\r\n" % (len(answer), answer)
    if isinstance(answer, SeveralAnswers):
        return b"".join(map(packed, answer))
    if isinstance(answer, CommandError):
        return b"-%b\r\n" % str(answer).encode()
    return b"*%d\r\n" % len(answer) + b"".join(map(packed, answer))
