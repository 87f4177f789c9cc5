"""The load of question and answer: each connection asks, waits for the whole answer, and asks again.

One process holds all connections, on uvloop, with questions that are built before and answers that are known by their
length: the load must be far cheaper than what it measures, on a machine that both share. Whatever is not the expected
answer fails the run; a wrong answer is not a fast one.
"""

from __future__ import annotations

import asyncio
import resource
import time
from dataclasses import dataclass, field
from typing import cast

from benchmarks.figures import Sample, quantile
from benchmarks.servers import Server

WARM_UP_SHARE = 0.25  #: of the seconds that are measured, before them
ANSWER_DEADLINE_S = 20.0
LOOK_EVERY_S = 0.005


class LoadFailed(Exception):
    """A server answered something else than it should, or not at all. The run counts as failed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What each answer must look like. Between its beginning and its end there may be a date."""

    size_bytes: int
    begins: bytes
    ends: bytes


@dataclass
class Tally:
    """What all connections of a load have seen so far."""

    answers: int = 0
    latencies_ns: list[int] = field(default_factory=list)
    failure: str | None = None
    running: bool = True


class Turns(asyncio.Protocol):
    """One connection that asks again as soon as it is answered."""

    __slots__ = ("answer", "asked_ns", "partial", "question", "tally", "transport")

    def __init__(self, tally: Tally, question: bytes, answer: Answer) -> None:
        self.tally, self.question, self.answer = tally, question, answer
        self.partial = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.ask(time.perf_counter_ns())

    def data_received(self, data: bytes) -> None:
        if self.partial:
            data = self.partial + data
            self.partial = b""
        answer = self.answer
        if len(data) == answer.size_bytes and data.startswith(answer.begins) and data.endswith(answer.ends):
            now = time.perf_counter_ns()
            self.tally.answers += 1
            self.tally.latencies_ns.append(now - self.asked_ns)
            if self.tally.running:
                self.ask(now)
        elif len(data) < answer.size_bytes and data.startswith(answer.begins[: len(data)]):
            self.partial = data
        else:
            self.fail(f"an answer of {len(data)} bytes instead of {answer.size_bytes}: {data[:200]!r}")

    def connection_lost(self, error: Exception | None) -> None:
        if self.tally.running:
            self.fail(f"the server closed a connection: {error}")

    def ask(self, now_ns: int) -> None:
        self.asked_ns = now_ns
        self.transport.write(self.question)

    def fail(self, why: str) -> None:
        self.tally.failure = self.tally.failure or why
        self.tally.running = False


def client_cpu_s() -> float:
    """CPU time of this process, and of the clients that it has started and awaited."""
    usages = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


class CpuMeter:
    """CPU time of the server's parts and of the client between two moments."""

    def __init__(self, server: Server) -> None:
        server.look()
        self.server, self.before = server, server.cpu_s() | {"client": client_cpu_s()}

    def us_per(self, units: float) -> dict[str, float]:
        """Microseconds per unit of work since the meter was made."""
        after = self.server.cpu_s() | {"client": client_cpu_s()}
        return {part: (after[part] - self.before[part]) * 1e6 / units for part in after}


async def hold(server: Server, tally: Tally, seconds: float) -> Sample:
    """Let the connections of `tally` take turns for a while, and say what they reached. Ends them."""
    await asyncio.sleep(seconds * WARM_UP_SHARE)
    await _answered(tally)
    tally.latencies_ns.clear()
    answers_before, began, meter = tally.answers, time.perf_counter(), CpuMeter(server)
    await asyncio.sleep(seconds)
    await _answered(tally)
    answers, elapsed_s = tally.answers - answers_before, time.perf_counter() - began
    if tally.failure is not None:
        raise LoadFailed(tally.failure)
    ordered = sorted(tally.latencies_ns)
    figures = {
        "per second": answers / elapsed_s,
        "p50 ms": quantile(ordered, 0.5) / 1e6,
        "p99 ms": quantile(ordered, 0.99) / 1e6,
    }
    return Sample(figures, meter.us_per(answers))


async def _answered(tally: Tally) -> None:
    """Wait for the first whole answer, if there is none yet: a slow server may need longer for one than a sample takes."""
    end_s = time.monotonic() + ANSWER_DEADLINE_S
    while not tally.latencies_ns and tally.failure is None:
        if time.monotonic() > end_s:
            tally.failure = f"no answer within {ANSWER_DEADLINE_S:.0f} s"
        await asyncio.sleep(LOOK_EVERY_S)


async def end_all(tally: Tally, connections: list[asyncio.Transport]) -> None:
    """Close all connections: the last answers may still come, and are not waited for."""
    tally.running = False
    for connection in connections:
        connection.abort()
    await asyncio.sleep(0)
