"""The simulated world: interface servers, workers and clients around one Redis, and what befalls them, all drawn from one seed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from random import Random
from types import SimpleNamespace
from typing import Any

from channel_layer import node as redis_node
from channel_layer.errors import LayerUnavailable
from channel_layer.liveness import failure_detector as redis_peers
from channel_layer.liveness import lease_facts
from channel_layer.liveness import lease_renewal as redis_lease
from channel_layer.redis import reconnect as redis_reconnect
from channel_layer.settings import RedisSettings
from interface_server.connections.dispatcher import Dispatcher as InterfaceDispatcher
from interface_server.settings import InterfaceSettings
from tests.simulation.applications import ApplicationHost, Instance
from tests.simulation.clients import Client
from tests.simulation.faults import befall, befall_workers
from tests.simulation.machines import SimulatedDeathWatch, simulated_identity
from tests.simulation.network import Network
from tests.simulation.process import Process, SimulatedLease
from tests.simulation.record import Record
from tests.simulation.simulated_redis import SimulatedRedis
from tests.simulation.sockets import Socket
from tests.simulation.virtual_loop import VirtualClock
from worker.connections import direct_requests, loop_lag
from worker.connections.dispatcher import Dispatcher as WorkerDispatcher
from worker.lifecycle.drain import drain
from worker.settings import WorkerSettings

#: Short waits, so that a schedule is short; a tiny budget, so that every window is the least that is set here.
REDIS_SETTINGS = RedisSettings(
    url="unix:///simulated",
    buffer_budget_bytes=1,
    window_size_bytes_min=16_384,
    queue_wait_s=4.0,
    resume_wait_s=8.0,
    lease_ttl_s=3.0,
)
#: Where nothing but workers is in trouble, nobody may find the wait too short.
PATIENT = replace(REDIS_SETTINGS, queue_wait_s=12.0, resume_wait_s=30.0)
DRAIN_TIMES_S = (0.5, 2.0, 6.0)
PATIENT_DRAIN_S = 30.0
#: What can happen in a world: anything; mostly what makes Redis lose data; a planned exchange of workers; their deaths alone.
#: A seed that names "sticky" ties clients to workers by their address.
#: In one that names "direct" workers invite interface servers to send requests directly.
#: "flushes": Redis is emptied while it runs. "full": it has no memory for a while, and refuses writes.
#: A seed that names "storms" has more of whatever it is;
#: in one that "talks" instances also speak to their own clients by a group and by their reply channels.
WEATHERS = (*(5 * ("any",)), "data losses", "data losses", "drains", "kills")
#: A seed that names one of these has it. One that names "rush" has many more requests, and no WebSockets.
NAMED_WEATHERS = ("flushes", "full", "data losses", "drains", "kills")
FAULTS_MAX = 4
STORMS_FAULTS_MAX = 9
#: How long things happen; after that everything heals.
TROUBLE_S = 5.0
NODE_NAME_BYTES = 6
QUICK_AFTER = (
    5  #: so that in each schedule workers acknowledge by a command of its own as well as behind the first steps
)


class World:
    """One schedule. `run` lets it happen; `record.broken` is what may not be."""

    def __init__(self, seed: str) -> None:
        self.random = Random(seed)
        self._names = Random(f"names of {seed}")
        self.clock = VirtualClock()
        self.record = Record(self.clock, seed)
        self.redis = SimulatedRedis(self.clock)
        self.network = Network(self.clock, self.redis, self.random)
        self.processes = self.network.processes
        self.clients: list[Client] = []
        self.instances: list[Instance | Socket] = []
        self._sticky = "address" if "sticky" in seed else "off"
        self._direct = "direct" in seed
        self._faults = STORMS_FAULTS_MAX if "storms" in seed else FAULTS_MAX
        drawn = self.random.choice(WEATHERS)
        self.record.weather = next((weather for weather in NAMED_WEATHERS if weather in seed), drawn)
        self._rush = "rush" in seed
        self.record.talks = "talks" in seed
        self._calm = self.record.weather in ("drains", "kills")
        self._redis_settings = PATIENT if self._calm else REDIS_SETTINGS

    def token_hex(self, size_bytes: int) -> str:
        """As `secrets.token_hex`. What is not as long as the name of a node has a chance of its own, so that seeds stay what they are."""
        chance = self.random if size_bytes == NODE_NAME_BYTES else self._names
        return f"{chance.getrandbits(8 * size_bytes):0{2 * size_bytes}x}"

    def run(self, until_quiet: Any) -> None:
        """Trouble, healing, and quiet (until `until_quiet(self)` says so, or for 60 s)."""
        with _standing_in(self):
            self._begin()
            self.clock.run_until(TROUBLE_S)
            self._heal()
            self.clock.run_until(max(process.in_trouble_until for process in self.processes))
            end = self.clock.now + 60.0
            while self.clock.now < end and until_quiet(self):
                self.clock.run_until(self.clock.now + 1.0)
            self.clock.run_until(self.clock.now + 2 * REDIS_SETTINGS.queue_wait_s)

    def wait(self, seconds: float) -> None:
        """Time goes by."""
        with _standing_in(self):
            self.clock.run_until(self.clock.now + seconds)

    def leave(self) -> None:
        """Everybody goes on purpose."""
        with _standing_in(self):
            for process in self.living():
                process.loop.call_soon(self._close, process)
            self.clock.run_until(self.clock.now + 10.0)

    def end(self) -> None:
        """Nothing of it runs on, not even in the garbage collector."""
        with _standing_in(self):
            for process in self.processes:
                if process.alive:
                    process.kill()

    def living(self, role: str = "") -> list[Process]:
        """Processes that run, and have started."""
        return [
            process for process in self.processes if process.alive and process.started and process.role.startswith(role)
        ]

    def at(self, when: float, what: Any) -> None:
        """Let something happen to the world."""
        self.clock.at(when, what)

    # -- processes

    def start(self, role: str) -> Process:
        """A new process, under a new name."""
        process = Process(self.network, f"{role}{len(self.processes)}")
        process.loop.call_soon(self._make, process)
        return process

    def _make(self, process: Process) -> None:
        if process.role.startswith("interface"):
            process.dispatcher = InterfaceDispatcher(
                InterfaceSettings(redis=self._redis_settings, sticky=self._sticky), Counter()
            )
        else:
            host = ApplicationHost(
                process, self.record, self.instances, self.random.choice((50,) if self._calm else (2, 5, 20))
            )
            process.host = host
            process.dispatcher = WorkerDispatcher(
                WorkerSettings(redis=self._redis_settings, sticky=self._sticky, direct_dispatch=self._direct),
                host,
                Counter(),
            )
            process.dispatcher.direct.invitations.quick_after = QUICK_AFTER
        process.loop.create_task(self._started(process))

    async def _started(self, process: Process) -> None:
        try:
            await process.dispatcher.start()
        except LayerUnavailable:
            self._exit(process)  # as supervisord would have it: another one comes
            self.clock.at(self.clock.now + 0.5, lambda: self.start(process.role.rstrip("0123456789")))
            return
        process.started = True
        self.record.tell(f"{process.role} has started as {process.dispatcher.node.name}")

    def drain(self, process: Process) -> None:
        """SIGTERM to a worker."""
        process.leaving = True
        patient = self.record.weather == "drains"
        self._drain(process, PATIENT_DRAIN_S if patient else self.random.choice(DRAIN_TIMES_S))

    def _drain(self, process: Process, timeout_s: float) -> None:
        async def leave() -> None:
            await drain(process.dispatcher, process.host, timeout_s, asyncio.Event())
            await process.dispatcher.close()
            self._exit(process)

        process.loop.call_soon(lambda: process.loop.create_task(leave()))

    def replace(self, process: Process) -> None:
        """As `towpath reload` does it: when another one is ready, this one is asked to leave."""
        process.leaving = True
        successor = self.start("worker")

        def look() -> None:
            if successor.started:
                self.record.tell(f"{process.role} is replaced by {successor.role}")
                self.drain(process)
            else:
                self.clock.at(self.clock.now + 0.05, look)

        look()

    def _close(self, process: Process) -> None:
        async def close() -> None:
            await process.dispatcher.close()
            self._exit(process)

        process.loop.create_task(close())

    def _exit(self, process: Process) -> None:
        self.record.tell(f"{process.role} is gone")
        self.clock.at(self.clock.now, process.kill)

    # -- the schedule

    def _begin(self) -> None:
        random = self.random
        for _ in range(random.choice((1, 1, 2))):
            self.start("interface")
        for _ in range(random.choice((1, 2, 2, 3))):
            self.clock.at(random.choice((0.0, 0.0, 1.0)), lambda: self.start("worker"))
        for number in range(random.randint(40, 80) if self._rush else random.randint(4, 14)):
            kind = random.choice(("GET", "POST", "POST", "PUT", *(() if self._rush else 3 * ("websocket",))))
            self.clock.at(random.uniform(0.1, TROUBLE_S), lambda number=number, kind=kind: self._arrive(number, kind))  # type: ignore[misc]
        for _ in range(random.randint(1, 2) if self._calm else random.randint(0, self._faults)):
            self.clock.at(random.uniform(0.1, TROUBLE_S), lambda: (befall_workers if self._calm else befall)(self))

    def _arrive(self, number: int, kind: str) -> None:
        interfaces = self.living("interface")
        if not interfaces:
            return
        client = Client(
            self.random.choice(interfaces), self.record, f"/{kind}/{number}", kind, Random(self.random.random())
        )
        self.clients.append(client)
        client.process.loop.call_soon(client.arrive)

    def _heal(self) -> None:
        """Nothing new happens any more. Whoever is stopped or cut off comes back when his time is over."""
        self.record.tell("healed")
        self.network.armed.clear()
        for role in ("interface", "worker"):
            if not [
                process
                for process in self.processes
                if process.alive and not process.leaving and process.role.startswith(role)
            ]:
                self.start(role)


@contextlib.contextmanager
def _standing_in(world: World) -> Iterator[None]:
    """The modules for threads, time and chance, as far as a process has them beside its loop."""
    clock, random = world.clock, world.random
    time = SimpleNamespace(monotonic=lambda: clock.now, clock_gettime=lambda _: clock.now, CLOCK_REALTIME=0)
    interfaces: list[tuple[Any, str, Any]] = [
        (redis_node, "LeaseRenewal", SimulatedLease),
        (redis_peers, "DeathWatch", SimulatedDeathWatch),
        (lease_facts, "identity", simulated_identity),
        (lease_facts, "time", time),
        (redis_peers, "monotonic", time.monotonic),
        (redis_lease, "time", time),
        (secrets, "token_hex", world.token_hex),
        (redis_reconnect, "random", random),
        (loop_lag, "monotonic", time.monotonic),
        (direct_requests, "monotonic", time.monotonic),
        (loop_lag, "CpuWait", lambda: SimpleNamespace(total_s=lambda: 0.0, close=lambda: None)),
    ]
    before = [(module, name, getattr(module, name)) for module, name, _ in interfaces]
    logger = logging.getLogger("towpath")
    disabled, logger.disabled = logger.disabled, True
    logging.disable(logging.CRITICAL)
    try:
        for module, name, value in interfaces:
            setattr(module, name, value)
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)
        logging.disable(logging.NOTSET)
        logger.disabled = disabled
