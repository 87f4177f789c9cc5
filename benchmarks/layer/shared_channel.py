"""One shared channel, two processes: one sends, the other receives and tells by a pipe which messages it has.

`python -m benchmarks.layer.shared_channel LAYER URL REDIS_PID SECONDS IN_FLIGHT RECEIVERS` prints a sample as JSON. It fails if a
message was lost, came twice or was another.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvloop

from benchmarks import processes
from benchmarks.figures import quantile
from benchmarks.layer.layers import opened
from benchmarks.turns import LoadFailed

CHANNEL = "bench"
TEXT = "a small message"
NUMBER = struct.Struct("<q")
WARM_UP_SHARE = 0.25
DEADLINE_S = 20.0


def message(number: int) -> dict[str, Any]:
    return {"type": "bench.message", "number": number, "text": TEXT}


async def receive(name: str, url: str, receivers: int) -> None:
    """The receiving process, with so many calls of `receive` at a time. It ends with the sender."""
    layer = await opened(name, url)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(receivers):
            tasks.create_task(receive_all(layer))


async def receive_all(layer: Any) -> None:
    """One message after the other; the number of each goes to the standard output."""
    while True:
        received = await layer.receive(CHANNEL)
        if received != message(received["number"]):
            raise LoadFailed(f"received {received!r}")
        os.write(1, NUMBER.pack(received["number"]))


class Sender(asyncio.Protocol):
    """Sends with so many messages under way at all times, and reads the numbers of those that were received."""

    def __init__(self, layer: Any) -> None:
        self.layer, self.number, self.running, self.partial = layer, 0, True, b""
        self.under_way: dict[int, asyncio.Future[None]] = {}
        self.latencies_ns: list[int] = []
        self.failure: str | None = None

    def data_received(self, data: bytes) -> None:
        data = self.partial + data
        whole = len(data) - len(data) % NUMBER.size
        self.partial = data[whole:]
        for (number,) in NUMBER.iter_unpack(data[:whole]):
            arrived = self.under_way.pop(number, None)
            if arrived is None:
                self.failure = f"message {number} was received twice"
            else:
                arrived.set_result(None)

    async def first(self) -> None:
        """Returns when one message has arrived: the receiving process is there."""
        arrived = self.under_way[-1] = asyncio.get_running_loop().create_future()
        await self.layer.send(CHANNEL, message(-1))
        async with asyncio.timeout(DEADLINE_S):
            await arrived

    async def send(self) -> None:
        """One after the other, each after the one before was received."""
        loop = asyncio.get_running_loop()
        while self.running:
            number = self.number
            self.number += 1
            arrived = self.under_way[number] = loop.create_future()
            began = time.perf_counter_ns()
            await self.layer.send(CHANNEL, message(number))
            await arrived
            self.latencies_ns.append(time.perf_counter_ns() - began)


@contextmanager
def receiver_of(name: str, url: str, receivers: int) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "benchmarks.layer.shared_channel", name, url, str(receivers)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


async def sample(name: str, url: str, redis: int, seconds: float, in_flight: int, receivers: int) -> dict[str, Any]:
    with receiver_of(name, url, receivers) as receiver:
        layer = await opened(name, url)
        sender = Sender(layer)
        await asyncio.get_running_loop().connect_read_pipe(lambda: sender, receiver.stdout)
        await sender.first()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(in_flight):
                tasks.create_task(sender.send())
            measured = await measure(sender, {"receiver": receiver.pid, "redis": redis}, seconds)
            sender.running = False
            async with asyncio.timeout(DEADLINE_S):
                while sender.under_way and sender.failure is None:
                    await asyncio.sleep(0.005)
        if sender.failure is not None:
            raise LoadFailed(sender.failure)
        return measured


async def measure(sender: Sender, pids: dict[str, int], seconds: float) -> dict[str, Any]:
    await asyncio.sleep(seconds * WARM_UP_SHARE)
    sender.latencies_ns.clear()
    before, began = spent_s(pids), time.perf_counter()
    await asyncio.sleep(seconds)
    elapsed_s, after = time.perf_counter() - began, spent_s(pids)
    ordered = sorted(sender.latencies_ns)
    return {
        "figures": {
            "per second": len(ordered) / elapsed_s,
            "p50 ms": quantile(ordered, 0.5) / 1e6,
            "p99 ms": quantile(ordered, 0.99) / 1e6,
        },
        "cpu_us": {part: (after[part] - before[part]) * 1e6 / len(ordered) for part in after},
    }


def spent_s(pids: dict[str, int]) -> dict[str, float]:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    others = {part: processes.cpu_s(pid) for part, pid in pids.items()}
    return {"sender": usage.ru_utime + usage.ru_stime} | others


def main() -> None:
    name, url, *numbers = sys.argv[1:]
    if len(numbers) > 1:
        redis, seconds, in_flight, receivers = numbers
        print(json.dumps(uvloop.run(sample(name, url, int(redis), float(seconds), int(in_flight), int(receivers)))))
    else:
        uvloop.run(receive(name, url, int(numbers[0])))


if __name__ == "__main__":
    main()
