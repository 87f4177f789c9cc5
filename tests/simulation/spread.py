"""A fleet of workers under reloads and scalings, with resumable sockets that nobody closes: which worker has how many of them.

Dispatchers, readers, leases and drains are the real ones, on virtual time. What is played is `serve`, which replaces workers one at a time,
and the application, which accepts each socket and hands it over when it is asked to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from channel_layer.protocol.events import Event
from channel_layer.protocol.keys import REBALANCE
from interface_server.connections.dispatcher import Dispatcher as InterfaceDispatcher
from interface_server.settings import InterfaceSettings
from tests.simulation.process import Process
from tests.simulation.world import PATIENT, World
from tests.support.both_dispatchers import Recorded, RecordedHost, RecordedInstance, knock
from worker.connections.dispatcher import Dispatcher as WorkerDispatcher
from worker.connections.interfaces import Downstream
from worker.settings import WorkerSettings

STEP_S = 0.05
STEP_MAX_S = 5.0  #: `serve` waits no longer for an old worker before it starts the next one
DRAIN_S = 30.0
REDIS_SETTINGS = replace(PATIENT, buffer_budget_bytes=256 * 1024 * 1024, lease_ttl_s=5.0)


class Resumable(RecordedInstance):
    """One instance: it waits for its client, so it is cut as soon as it is asked. `left` is called at its end."""

    left: Callable[[], None]

    def hand_off(self) -> bool:
        if self.downstream.resumable and not self.disconnects:
            self.downstream.resumable = False
            self.downstream.hand_off()
            return True
        return False

    def disconnect(self, code: int, reason: str) -> None:
        super().disconnect(code, reason)
        self.left()


class Hotel(RecordedHost):
    """A host whose sockets are resumable and accepted at once. `moves`: by the number of the socket, how many instances it has had."""

    def __init__(self, moves: Counter[int]) -> None:
        super().__init__(slots=20_000)
        self._moves = moves
        self._count = 0

    @property
    def websocket_count(self) -> int:
        return self._count

    @property
    def running_count(self) -> int:
        return self.websocket_count

    def start(self, scope: Event, body: bytes, more_body: bool, downstream: Downstream) -> RecordedInstance:
        instance = Resumable(scope, body, more_body, downstream)
        instance.left = self._left
        self._count += 1
        self._moves[downstream.key[1]] += 1
        downstream.resumable = True
        instance.send({"type": "websocket.accept", "resumable": True})
        return instance

    def _left(self) -> None:
        self._count -= 1


class SpreadWorld(World):
    """One fleet behind one interface server."""

    def __init__(self, seed: str, sticky: str = "off") -> None:
        super().__init__(seed)
        self._sticky = sticky
        self.network.delay_s = lambda: self.random.uniform(0.000_05, 0.000_6)  # type: ignore[method-assign]
        self.moves: Counter[int] = Counter()
        self.sockets: list[Recorded] = []
        self._generation = 0
        self.starts_s = 1.0  #: so long a new process needs until it works
        self._ready: list[Process] = []

    # -- what an operator does

    def begin(self, workers: int, sockets: int) -> None:
        """So many workers; then so many sockets, one by one."""
        self._interface = self.start("interface")
        self.scale(workers)
        self._until(lambda: self._interface.started)
        for _ in range(sockets):
            self._interface.loop.call_soon(lambda: self.sockets.append(knock(self._interface.dispatcher, "websocket")))
            self.wait(0.005)
        self.wait(2.0)

    def scale(self, workers: int) -> None:
        """More workers, or fewer: the newest leave."""
        spare = self._ready[workers:]
        for process in spare:
            self.drain(process)
        self._ready = self._ready[:workers] + [self.start("worker") for _ in range(workers - len(self._ready))]
        self._until(lambda: all(process.started for process in self._ready))
        self._until(lambda: not any(process.alive for process in spare))

    def reload(self) -> None:
        """As `serve` does it."""
        self._generation += 1
        for place, old in enumerate(self._ready):
            self._ready[place] = new = self.start("worker")
            self._until(lambda new=new: new.started)
            self.drain(old)
            self._until(lambda old=old: not old.alive, STEP_MAX_S)

    def rebalance(self) -> None:
        """Once, as `towpath rebalance` does it every second."""
        self._interface.loop.call_soon(lambda: self._interface.dispatcher.node._peers.announce(REBALANCE, ""))

    def counts(self) -> list[int]:
        """The sockets of each worker that is ready."""
        return [process.host.websocket_count for process in self._ready]

    # -- how

    def start(self, role: str) -> Process:
        """A new process, under a new name."""
        process = Process(self.network, f"{role}{len(self.processes)}")
        process.loop.call_later(self.starts_s, self._make, process)
        return process

    def _until(self, fact: Callable[[], bool], deadline_s: float = 60.0) -> None:
        end = self.clock.now + deadline_s
        while not fact() and self.clock.now < end:
            self.wait(STEP_S)

    def _make(self, process: Process) -> None:
        if process.role.startswith("interface"):
            process.dispatcher = InterfaceDispatcher(InterfaceSettings(redis=REDIS_SETTINGS), Counter())
        else:
            redis_settings = replace(REDIS_SETTINGS, generation=f"fleet/{self._generation}")
            process.host = Hotel(self.moves)
            process.dispatcher = WorkerDispatcher(
                WorkerSettings(redis=redis_settings, sticky=self._sticky), process.host, Counter()
            )
        process.loop.create_task(self._started(process))

    def drain(self, process: Process) -> None:
        """SIGTERM to a worker."""
        process.leaving = True
        self._drain(process, DRAIN_S)
