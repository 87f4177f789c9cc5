"""The runs: what is done to a fleet under which load, what is looked at, and what Towpath must show."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random

from benchmarks.deploys import facts
from benchmarks.deploys.asking import HANG_S, Failure
from benchmarks.deploys.echoing import Echoing
from benchmarks.deploys.fleet import Fleet, Redis, fleet_of, own_redis
from benchmarks.deploys.load import (
    ECHO_EVERY_S,
    LOOK_EVERY_S,
    WARM_UP_S,
    Load,
    Size,
    every,
    hanging,
    of_exchanges,
    of_moves,
    of_sockets,
    under_load,
)
from benchmarks.deploys.page import Demand, Figures, counted
from benchmarks.figures import quantile

MOVING_EVERY_S = 0.01
BETWEEN_RELOADS_S = 1.0
BEFORE_OUTAGE_S = 3.0
BEHIND_OUTAGE_S = 10.0
DISCONNECTS_DEADLINE_S = 15.0
SERVICE_RESTART = 1012
NO_CODE = 1006


@dataclass(frozen=True, slots=True)
class Run:
    name: str
    title: str
    about: str
    demands: tuple[Demand, ...]
    servers: tuple[str, ...]
    play: Callable[[str, Size], Awaitable[Figures]]


async def deploys(name: str, size: Size) -> Figures:
    with fleet_of(name) as fleet:
        async with under_load(fleet, size, "resumable") as load:
            reloads = await every(size.reload_every_s, size.seconds, fleet.reload)
        posts = fleet.facts("post")
    return {"deploys": reloads, **of_exchanges(load, posts), **of_sockets(load, "resumable"), **hanging(load)}


async def kills(name: str, size: Size) -> Figures:
    with fleet_of(name) as fleet:
        killed, random = dict[int, float](), Random(f"{size.seed} kills")

        async def kill() -> None:
            victim, at_s = await fleet.kill_one(random)
            killed[victim] = at_s

        async with under_load(fleet, size, "plain", "crash") as load:
            await every(size.kill_every_s, size.seconds, kill)
        posts = fleet.facts("post")
    figures = {"kills": len(killed), **of_exchanges(load, posts), **of_deaths(load, posts, killed)}
    return figures | of_sockets(load, "plain") | of_sockets(load, "crash") | hanging(load)


def of_deaths(load: Load, posts: list[facts.Fact], killed: dict[int, float]) -> Figures:
    failures, closed = load.asking.answers.failures, load.echoing.seen["plain"].closed
    ran_in = {post.name: post.pid for post in posts}
    failed_posts = [one for one in failures if one.method == "POST"]
    return {
        "failed GETs": sum(one.method == "GET" for one in failures),
        "POSTs that failed with anything but 502": sum(one.seen != "502" for one in failed_posts),
        "POSTs that failed and were in no dead hands": sum(
            not in_dead_hands(one, ran_in, killed) for one in failed_posts
        ),
        "plain sockets closed with anything but 1012": closed.total() - closed[SERVICE_RESTART],
    }


def in_dead_hands(failure: Failure, ran_in: dict[str, int], killed: dict[int, float]) -> bool:
    """While it was under way its worker was killed; if it never ran, any worker: it was on its way to that one.

    ran_in: name to process. killed: process to the moment.
    """
    pid = ran_in.get(failure.name)
    deaths = killed.values() if pid is None else [at_s for victim, at_s in killed.items() if victim == pid]
    return any(failure.began_s <= at_s <= failure.ended_s for at_s in deaths)


async def dead_interface(name: str, size: Size) -> Figures:
    with fleet_of(name) as fleet:
        sockets = Echoing(fleet.server.port, size.sockets, ("plain",), ECHO_EVERY_S, Random(size.seed), again=False)
        try:
            await fleet.stands()
            await sockets.begin()
            (interface,) = fleet.part("interface")
            await asyncio.sleep(WARM_UP_S)
            killed_s = time.monotonic()
            os.kill(interface, signal.SIGKILL)
            await _all_disconnected(fleet, size.sockets)
        finally:
            sockets.cancel()
        disconnects = fleet.facts("disconnect")
    told = Counter(one.name for one in disconnects)
    delays_ns = sorted(int((one.at_s - killed_s) * 1e9) for one in disconnects)
    return {
        "sockets": size.sockets,
        "instances with exactly one disconnect": sum(count == 1 for count in told.values()),
        "instances with none or more than one": size.sockets - sum(count == 1 for count in told.values()),
        "p50 until the disconnect, s": quantile(delays_ns, 0.5) / 1e9 if delays_ns else "",
        "last disconnect, s": delays_ns[-1] / 1e9 if delays_ns else "",
    }


async def _all_disconnected(fleet: Fleet, sockets: int) -> None:
    """Until as many disconnects are written down as there are sockets, or the time is over; and then for more of them."""
    end_s = time.monotonic() + DISCONNECTS_DEADLINE_S
    while len(fleet.facts("disconnect")) < sockets and time.monotonic() < end_s:
        await asyncio.sleep(LOOK_EVERY_S)
    await asyncio.sleep(WARM_UP_S)


async def outage(name: str, size: Size) -> Figures:
    with own_redis() as redis, fleet_of(name, ("--redis", redis.url)) as fleet:
        async with under_load(fleet, size, "plain", "resumable") as load:
            before, talks = set(processes_of(fleet)), dict(load.echoing.talks)
            await asyncio.sleep(BEFORE_OUTAGE_S)  # behind the look, which holds up the clients: all are under way again
            await _away(redis, size.outage_s)
            back = await _back(load)
            await asyncio.sleep(BEHIND_OUTAGE_S)
            ended = before.difference(processes_of(fleet))
            stayed = sum(load.echoing.talks.get(number) is talk for number, talk in talks.items())
        posts = fleet.facts("post")
    codes = sum((seen.closed for seen in load.echoing.seen.values()), Counter[int]())
    figures = {"processes": len(before), "processes that ended": len(ended), **back, "sockets that stayed": stayed}
    figures |= {"sockets closed without a code": codes[NO_CODE], **of_exchanges(load, posts)}
    return figures | of_sockets(load, "plain") | of_sockets(load, "resumable") | hanging(load)


def processes_of(fleet: Fleet) -> list[int]:
    return fleet.part("worker") + fleet.part("interface")


async def _away(redis: Redis, seconds: float) -> None:
    await asyncio.to_thread(redis.stop)
    await asyncio.sleep(seconds)
    await asyncio.to_thread(redis.start)


async def _back(load: Load) -> Figures:
    """Redis has just come back: how long until a request is answered, and until each open socket echoes again or ends."""
    began_s, answered = time.monotonic(), len(load.asking.answers.latencies_ns)
    heard = {talk: talk.heard for talk in load.echoing.talks.values()}
    echoed_s, answered_s = 0.0, -1.0
    while (heard or answered_s < 0) and (now_s := time.monotonic() - began_s) < HANG_S:
        again = [talk for talk, number in heard.items() if talk.heard > number]
        echoed_s = now_s if again else echoed_s
        if answered_s < 0 and len(load.asking.answers.latencies_ns) > answered:
            answered_s = now_s
        heard = {talk: number for talk, number in heard.items() if talk not in again and not talk.ended.done()}
        await asyncio.sleep(LOOK_EVERY_S)
    return {
        "first answer with 200 behind it, s": answered_s if answered_s >= 0 else HANG_S,
        "last socket that echoed again, s": echoed_s,
        f"sockets that did neither within {HANG_S:g} s": len(heard),
    }


async def moves(name: str, size: Size) -> Figures:
    with fleet_of(name) as fleet:
        sockets = Echoing(fleet.server.port, size.moving, ("resumable",), MOVING_EVERY_S, Random(size.seed))
        try:
            await fleet.stands()
            await sockets.begin()
            await asyncio.sleep(WARM_UP_S)
            for _ in range(size.reloads):
                await fleet.reload()
                await asyncio.sleep(BETWEEN_RELOADS_S)
            await sockets.finish()
        finally:
            sockets.cancel()
    seen = sockets.seen["resumable"]
    gaps = sorted(gap for _, gap in seen.moves_ns)
    return {
        "sockets closed": seen.closed.total(),
        "closed, by code": counted(seen.closed.elements()),
        "echoes lost": seen.lost,
        "echoes doubled": seen.doubled,
        "hanging sockets": seen.hanging,
        "gaps, p50, ms": quantile(gaps, 0.5) / 1e6 if gaps else "",
        "gaps, p99, ms": quantile(gaps, 0.99) / 1e6 if gaps else "",
        "gaps, longest, ms": gaps[-1] / 1e6 if gaps else "",
        **of_moves(seen),
    }


ALL = ("towpath", "uvicorn", "gunicorn")
ALONE = ("towpath",)
NOTHING_HANGS = Demand("no request and no socket hangs", "hanging requests and sockets")
NOTHING_TWICE = Demand("no POST ran twice", "POSTs that ran twice")
NEVER_RAN = Demand("no POST was answered that never ran", "POSTs answered with 200 that never ran")
RUNS = (
    Run(
        "deploys", "A deploy every ten seconds",
        "Workers are replaced by `towpath reload`, by SIGHUP to uvicorn's parent, by SIGHUP to gunicorn. The application's\n"
        "WebSockets ask to be handed over where the server knows of it.",
        (
            Demand("no request fails", "failed requests"),
            Demand("no resumable socket is closed", "sockets closed (resumable)"),
            Demand("no echo is lost", "echoes lost while the socket stayed (resumable)"),
            Demand("no echo is doubled", "echoes doubled (resumable)"),
            NOTHING_TWICE, NEVER_RAN, NOTHING_HANGS,
        ),
        ALL, deploys,
    ),
    Run(
        "kills", "`kill -9` of a random worker every five seconds",
        "One half of the WebSockets asks for nothing (plain), the other to be handed over after a crash too (crash): that is\n"
        "granted twice a minute, and what the dead worker had been given is not repeated, so echoes may be missing.",
        (
            Demand("no GET fails", "failed GETs"),
            Demand("POSTs fail with 502 only", "POSTs that failed with anything but 502"),
            Demand("only POSTs in the dead worker's hands fail", "POSTs that failed and were in no dead hands"),
            Demand("plain sockets are closed with 1012 only", "plain sockets closed with anything but 1012"),
            Demand("no echo is doubled", "echoes doubled (crash)"),
            NOTHING_TWICE, NEVER_RAN, NOTHING_HANGS,
        ),
        ALL, kills,
    ),
    Run(
        "interface", "`kill -9` of the interface server that holds all WebSockets",
        "How long until the application's instances know, each once.",
        (
            Demand("every instance gets exactly one disconnect", "instances with none or more than one"),
            Demand("within 1 s", "last disconnect, s", 1.0),
        ),
        ALONE, dead_interface,
    ),
    Run(
        "outage", "Redis is killed, and comes back empty after five seconds",
        "Requests and sockets as in the first run; one half of the WebSockets is resumable.",
        (
            Demand("all processes live on", "processes that ended"),
            Demand("what stays open echoes again within 2 s", "last socket that echoed again, s", 2.0),
            Demand("new work flows within 2 s", "first answer with 200 behind it, s", 2.0),
            Demand("what does not, is closed with a code", "sockets closed without a code"),
            Demand("no echo is lost while its socket stays (plain)", "echoes lost while the socket stayed (plain)"),
            Demand("the same (resumable)", "echoes lost while the socket stayed (resumable)"),
            NOTHING_TWICE, NEVER_RAN, NOTHING_HANGS,
        ),
        ALONE, outage,
    ),
    Run(
        "moves", "The gap that a client sees when its open socket is handed over",
        "A few sockets that say something every 10 ms, nothing else, and `towpath reload`. The gap is the time between the last\n"
        "echo of one worker and the first of the next, the 10 ms included.",
        (
            Demand("p99 of the gap, at most 250 ms", "gaps, p99, ms", 250.0),
            Demand("no socket is closed", "sockets closed"),
            Demand("no echo is lost", "echoes lost"),
            Demand("no echo is doubled", "echoes doubled"),
        ),
        ALONE, moves,
    ),
)  # fmt: skip
