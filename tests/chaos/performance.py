"""One play from its first process to its last: load, trouble, quiet, and everything that can then be looked at."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.chaos import judge, traces
from tests.chaos.clients import Load
from tests.chaos.fleet import Fleet
from tests.chaos.harm import Harm
from tests.chaos.moments import MOMENTS, Scene
from tests.chaos.outcomes import Seen
from tests.chaos.response import read
from tests.chaos.scenarios import Scenario, steps_of
from tests.chaos.served import ServedFleet, ServedTrouble
from tests.chaos.trouble import Trouble
from tests.support.facts import until_async

BEFORE_S = 0.7
AFTER_S = 0.5
#: What is promised after Redis comes back is 2 s; the rest is for a machine that has others to serve.
RECOVERY_S = 6.0
REST_S = 20.0
STRUCK_S = 0.05  #: so long a moment is held when the blow has fallen
#: Files that a process may have opened since it was ready, for others that came after it.
DESCRIPTORS_MORE_MAX = 6
#: The name under which it is asked whether new work flows. It may be asked often.
PROBE = "probe"


@dataclass(slots=True)
class Report:
    """What came of one play."""

    scenario: str
    seed: str
    recovery_max_s: float
    faults: list[str] = field(default_factory=list)
    blows: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    recovered_s: float = 0.0
    took_s: float = 0.0
    played: bool = False  #: to its end

    def __str__(self) -> str:
        counts = ", ".join(f"{count} {what}" for what, count in sorted(self.counts.items()))
        head = (
            f"{self.scenario} (seed {self.seed}): {self.took_s:.1f} s, recovered in {self.recovered_s:.2f} s; {counts}"
        )
        return "\n  ".join([head, ", ".join(self.blows).lower(), *self.faults])


async def perform(scenario: Scenario, seed: str, folder: Path, recovery_max_s: float = RECOVERY_S) -> Report:
    """Play it; everything that was started has ended afterwards. recovery_max_s: until all answer again, for each client."""
    began = time.monotonic()
    report = Report(scenario.name, seed, recovery_max_s)
    fleet = (
        ServedFleet(folder, scenario.direct) if scenario.served else Fleet(folder, scenario.watched, scenario.direct)
    )
    load = Load(fleet.ports, seed)
    try:
        await fleet.start()
        await _play(scenario, Random(f"{seed} {scenario.name} trouble"), fleet, load, report)
    except AssertionError as error:
        report.faults.append(str(error))
    finally:
        await load.cancel()
        fleet.close()
    report.took_s = time.monotonic() - began
    return report


async def _play(scenario: Scenario, random: Random, fleet: Fleet | ServedFleet, load: Load, report: Report) -> None:
    descriptors_max = max(fleet.descriptors().values()) + DESCRIPTORS_MORE_MAX
    load.begin()
    trouble = ServedTrouble(fleet, random) if isinstance(fleet, ServedFleet) else Trouble(fleet, random)
    try:
        await asyncio.sleep(BEFORE_S)
        await _make_trouble(scenario, trouble, random, fleet, load)
        report.faults += [] if scenario.drawn else trouble.missed
        healed = time.monotonic()
        await fleet.until_ready()
        await _answer(fleet, healed, report)
        await asyncio.sleep(AFTER_S)
        await load.finish()
        report.played = True
        await until_async(fleet.is_at_rest, "nobody holds a connection, and nothing waits", REST_S)
        report.faults += [
            f"{pid} has {count} files open" for pid, count in fleet.descriptors().items() if count > descriptors_max
        ]
        report.faults += await fleet.leaks()
        report.faults += [f"P11: {key} has no time to live" for key in fleet.keys_that_stay()]
    finally:
        report.faults += fleet.missing()
        report.faults += await fleet.stop()
        report.faults += fleet.complaints()
        report.blows = [f"{blow.victim.name} {blow.action.name} {blow.pid}" for blow in trouble.blows]
        if report.played:  # else clients were interrupted, and what they saw says nothing
            _judge(fleet, load, Harm(tuple(trouble.blows), trouble.unread), report)


async def _make_trouble(
    scenario: Scenario, trouble: Trouble | ServedTrouble, random: Random, fleet: Fleet | ServedFleet, load: Load
) -> None:
    under_way: list[asyncio.Task[None]] = []
    try:
        async with _moment(scenario, trouble, random, fleet, load):
            for step in steps_of(scenario, random):
                await asyncio.sleep(random.uniform(0, step.within_s))
                under_way.append(asyncio.create_task(trouble.strike(step.victim, step.action)))
                await asyncio.sleep(STRUCK_S)
    finally:
        await asyncio.gather(*under_way)


def _moment(
    scenario: Scenario, trouble: Trouble | ServedTrouble, random: Random, fleet: Fleet | ServedFleet, load: Load
) -> contextlib.AbstractAsyncContextManager[None]:
    if isinstance(fleet, Fleet) and isinstance(trouble, Trouble):
        return MOMENTS[scenario.moment](Scene(fleet, trouble, load, random))
    return contextlib.nullcontext()


def _judge(fleet: Fleet | ServedFleet, load: Load, harm: Harm, report: Report) -> None:
    starts = tuple(start for start in traces.starts(fleet.traces) if start.name != PROBE)
    seen = Seen(tuple(load.exchanges), tuple(load.sockets), starts, traces.ends(fleet.traces))
    report.faults += judge.faults(seen, harm)
    for exchange in seen.exchanges:
        report.counts[f"{exchange.method} {exchange.status or exchange.ending.name.lower()}"] += 1
        report.counts["on kept connections"] += exchange.reused
    for socket in seen.sockets:
        report.counts[f"sockets {socket.status or socket.code or socket.ending.name.lower()}"] += 1
        report.recovered_s = max(report.recovered_s, socket.recovered_s or 0.0)
    if report.recovered_s > report.recovery_max_s:
        report.faults.append(f"P9: it took {report.recovered_s:.1f} s until all answered again")


async def _answer(fleet: Fleet | ServedFleet, since: float, report: Report) -> None:
    """New work flows: through each interface server, soon."""
    for port in fleet.ports:
        await until_async(lambda port=port: _asked(port), f"an answer at port {port}", report.recovery_max_s)
    report.recovered_s = time.monotonic() - since


async def _asked(port: int) -> bool:
    with contextlib.suppress(OSError, TimeoutError):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(f"GET /quick/{PROBE} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            return read(await asyncio.wait_for(reader.read(), RECOVERY_S))[1] == 200
        finally:
            writer.transport.abort()
    return False
