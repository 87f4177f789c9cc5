"""Both kinds of clients against one fleet, blows at it by the clock, and the figures that every run shares."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random

from benchmarks.deploys import facts
from benchmarks.deploys.asking import Asking
from benchmarks.deploys.echoing import Echoes, Echoing
from benchmarks.deploys.fleet import Fleet
from benchmarks.deploys.page import Figures, counted
from benchmarks.figures import quantile

ECHO_EVERY_S = 0.2
WARM_UP_S = 1.0
LOOK_EVERY_S = 0.01


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything, and for how long."""

    seconds: float = 60.0
    clients: int = 200
    sockets: int = 500
    reload_every_s: float = 10.0
    kill_every_s: float = 5.0
    outage_s: float = 5.0
    moving: int = 50  #: sockets of the run of hand-offs
    reloads: int = 3  #: of the same
    seed: int = 0


@dataclass
class Load:
    asking: Asking
    echoing: Echoing
    began_s: float = 0.0
    seconds: float = 0.0  #: how long it lasted


@asynccontextmanager
async def under_load(fleet: Fleet, size: Size, *kinds: str) -> AsyncIterator[Load]:
    """All clients are there from the beginning to the end of the block; behind it everything that they began has ended."""
    asking = Asking(fleet.server.port, size.clients, Random(f"{size.seed} clients"))
    echoing = Echoing(fleet.server.port, size.sockets, kinds, ECHO_EVERY_S, Random(f"{size.seed} sockets"))
    load = Load(asking, echoing)
    try:
        await fleet.stands()
        await echoing.begin()
        asking.begin()
        await asyncio.sleep(WARM_UP_S)
        load.began_s = time.monotonic()
        asking.answers.latencies_ns.clear()
        for seen in echoing.seen.values():
            seen.heard = 0
        yield load
        load.seconds = time.monotonic() - load.began_s
        await asyncio.gather(asking.finish(), echoing.finish())
    finally:
        asking.cancel()
        echoing.cancel()


async def every(interval_s: float, seconds: float, blow: Callable[[], Awaitable[object]]) -> int:
    """A blow in the middle of each interval, or when the last one is over; how many. Returns when the time is over."""
    interval_s = min(interval_s, seconds)  # so that there is one, however short
    began_s, blows = time.monotonic(), 0
    while (due_s := began_s + (blows + 0.5) * interval_s) < began_s + seconds:
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        await blow()
        blows += 1
    await asyncio.sleep(max(0.0, began_s + seconds - time.monotonic()))
    return blows


def of_exchanges(load: Load, posts: list[facts.Fact]) -> Figures:
    """What became of the requests."""
    answers = load.asking.answers
    ordered = sorted(answers.latencies_ns)
    return {
        "requests/s": len(ordered) / load.seconds,
        "p99 of a request, ms": quantile(ordered, 0.99) / 1e6 if ordered else "",
        "failed requests": len(answers.failures),
        "failed GET, by what was seen": counted(one.seen for one in answers.failures if one.method == "GET"),
        "failed POST, by what was seen": counted(one.seen for one in answers.failures if one.method == "POST"),
        "POSTs that ran twice": facts.repeated(posts),
        "POSTs answered with 200 that never ran": len(answers.posted - {post.name for post in posts}),
    }


def of_sockets(load: Load, kind: str) -> Figures:
    """What became of the sockets of one kind."""
    seen, called = load.echoing.seen[kind], f" ({kind})"
    return {
        f"echoes/s{called}": seen.heard / load.seconds,
        f"sockets closed{called}": sum(seen.closed.values()),
        f"closed, by code{called}": counted(seen.closed.elements()),
        f"handshakes that failed{called}": seen.not_opened,
        f"echoes lost while the socket stayed{called}": seen.lost,
        f"echoes doubled{called}": seen.doubled,
        f"longest wait for an echo, ms{called}": max(seen.waits_ns, default=0) / 1e6,
        **of_moves(seen, called),
    }


def of_moves(seen: Echoes, called: str = "") -> Figures:
    """Open sockets whose next echo came from another process."""
    waits = sorted(wait for wait, _ in seen.moves_ns)
    return {
        f"hand-overs{called}": len(waits),
        f"p99 of the first echo behind one, ms{called}": quantile(waits, 0.99) / 1e6 if waits else "",
    }


def hanging(load: Load) -> Figures:
    exchanges = sum(one.seen == "hanging" for one in load.asking.answers.failures)
    return {"hanging requests and sockets": exchanges + sum(seen.hanging for seen in load.echoing.seen.values())}
