"""Measures what waits behind a worker whose event loop is blocked: with direct dispatch, and with the shared channel alone.

    python -m benchmarks.blocked [--rounds 7] [--seconds 12] [--rate 80] [--other FOLDER]

Every tenth request blocks its worker's loop for 50 ms; there are four workers and one interface server. One client drives all
deployments at the same time, so that what the machine does hits all of them. Requests come at drawn moments, whether earlier ones
are answered or not (an open loop); a latency counts from the drawn moment, and the figures are of the other nine tenths.

--other: the `bin` of another Towpath, an earlier one for instance, which is driven beside them.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.http_load import content_length, get
from benchmarks.servers import BINARIES, free_port, own_folder, started, towpath, wait_for_workers

WORKERS = 4
CONNECTIONS = 64
BLOCKS = 10  #: each of so many requests blocks
SHARES = (0.5, 0.9, 0.95, 0.99, 0.995)
DEADLINE_S = 30.0


class Connection:
    """One kept connection, used by one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def request(self, question: bytes) -> None:
        self.writer.write(question)
        await self.reader.readexactly(content_length(await self.reader.readuntil(b"\r\n\r\n")))


async def latencies_ms(port: int, seconds: float, rate: float, draw: random.Random) -> list[float]:
    """The latencies of requests that do not block."""
    loop = asyncio.get_running_loop()
    free: asyncio.Queue[Connection] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        free.put_nowait(Connection(*await asyncio.open_connection("127.0.0.1", port)))
    found: list[float] = []

    async def one(due_s: float, blocks: bool) -> None:
        connection = await free.get()
        await connection.request(get("/?block" if blocks else "/"))
        if not blocks:
            found.append((loop.time() - due_s) * 1000)
        free.put_nowait(connection)

    due_s = loop.time()
    end_s = due_s + seconds
    async with asyncio.timeout(seconds + DEADLINE_S), asyncio.TaskGroup() as requests:
        while (due_s := due_s + draw.expovariate(rate)) < end_s:
            await asyncio.sleep(due_s - loop.time())
            requests.create_task(one(due_s, draw.randrange(BLOCKS) == 0))
    while not free.empty():
        free.get_nowait().writer.close()
    return found


async def one_round(ports: dict[str, int], seconds: float, rate: float, number: int) -> dict[str, list[float]]:
    """All deployments at the same time, each with draws of its own that are the same in each run."""
    work = [latencies_ms(port, seconds, rate, random.Random(f"{number} {name}")) for name, port in ports.items()]
    return dict(zip(ports, await asyncio.gather(*work), strict=True))


def share(latencies: Sequence[float], of: float) -> float:
    """The latency within which this share of the requests was answered."""
    return sorted(latencies)[int(of * len(latencies))]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--seconds", type=float, default=12.0)
    arguments.add_argument("--rate", type=float, default=80.0, help="requests a second, for each deployment")
    arguments.add_argument("--other", type=Path, help="the folder with the command of another Towpath")
    given = arguments.parse_args()
    ways = {"direct dispatch": (BINARIES, []), "shared channel alone": (BINARIES, ["--no-direct-dispatch"])}
    if given.other:
        ways["other"] = (given.other, [])
    with ExitStack() as servers:
        ports = {}
        for name, (binaries, options) in ways.items():
            folder, port = servers.enter_context(own_folder()), free_port()
            words = towpath("apps:blocking", port, folder)[1:]
            command = [str(binaries / "towpath"), *words, "--workers", str(WORKERS), *options]
            servers.enter_context(started(command, port, folder, {}))
            wait_for_workers(folder, WORKERS, invite=not options)
            ports[name] = port
        rounds = [asyncio.run(one_round(ports, given.seconds, given.rate, n)) for n in range(given.rounds)]
    print("| | " + " | ".join(f"p{of * 100:g}" for of in SHARES) + " | p99 of each round | median of these |")
    print("|---" * (len(SHARES) + 3) + "|")
    for name in ways:
        together = [each for one in rounds for each in one[name]]
        each_p99 = [share(one[name], 0.99) for one in rounds]
        figures = [f"{share(together, of):.1f}" for of in SHARES]
        listed = " ".join(f"{each:.1f}" for each in each_p99)
        print(f"| {name} | " + " | ".join([*figures, listed, f"{statistics.median(each_p99):.1f}"]) + " |")


if __name__ == "__main__":
    main()
