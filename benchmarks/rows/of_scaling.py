"""The row that compares numbers of workers: an application that waits for others, behind one interface server."""

from __future__ import annotations

from benchmarks import http_load
from benchmarks.apps import BODY, WAIT_S
from benchmarks.figures import Goal, Sample, ratio
from benchmarks.rows.row import RATE, Row, Size, served
from benchmarks.servers import PLACES, Server

WORKERS = (1, 2, 4, 8)
CLIENTS_PER_PLACE = 2  #: so that there is always one that waits


def name(workers: int) -> str:
    return f"towpath-places-{workers}"


async def occupied(server: Server, size: Size) -> Sample:
    """Twice as many clients as its workers have places."""
    server.look()
    workers = list(server.members.values()).count("worker")
    connections = CLIENTS_PER_PLACE * PLACES * workers
    return await http_load.asked(server, size.seconds, connections, http_load.get("/"), BODY)


ROWS = (
    Row(
        "places",
        f"An application that waits for {WAIT_S * 1000:.0f} ms, {PLACES} places per worker; `-n`: n workers",
        "request", RATE, served("apps:waiting", occupied),
        tuple(Goal(f"× one worker, {each} workers", ratio(RATE, name(1), name(each)), 0.95 * each, each) for each in WORKERS[1:]),
        tuple(map(name, WORKERS)), name(1),
    ),
)  # fmt: skip
