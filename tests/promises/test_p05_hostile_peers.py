"""P5: slow and hostile clients get no more than their limits, all of them at once, and cost polite ones nothing.

One run for all tests of this file: its clients need the same seconds, and are worse together.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import socket
import time
from collections.abc import Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import pytest
from websockets.asyncio.client import connect

from tests.promises.conftest import PROJECT, Traces
from tests.promises.fleet import leases_at, memory_bytes
from tests.support.facts import until
from tests.support.serving import Server, redis_server, redis_url, towpath_interface, towpath_worker, wait_until

MEBIBYTE = 1024 * 1024
HEADS, SILENT, DRIPPING, DEAF, DEAF_SOCKETS = 400, 40, 40, 40, 20
LIMIT_S = 3
OPTIONS = ("--no-access-log", "--stall-timeout", str(LIMIT_S), "--body-timeout", str(LIMIT_S))
DRIP_S = 0.5  #: between two bytes of a client that drips
SIEGE_S_MAX = 40.0
#: A window, our buffer, and what the interpreter needs beside them.
GROWTH_BYTES_MAX = (DEAF + DEAF_SOCKETS) * 512 * 1024 + 24 * MEBIBYTE
#: Polite clients share their cores with the hostile clients, and with whatever else a machine does: one answer may be unlucky.
POLITE_ANSWER_S_MAX, POLITE_ANSWER_S_MEDIAN_MAX = 8.0, 0.5
SLOW_BODY = b"slow is no offence"


@dataclass
class Outcome:
    """What the clients saw; what the applications saw is in `traces`."""

    traces: Traces
    heads: list[tuple[bytes, float]] = field(default_factory=list)  #: the first line, and after how long
    silent: list[tuple[bytes, float]] = field(default_factory=list)
    dripping: list[bytes] = field(default_factory=list)
    polite: list[float] = field(default_factory=list)  #: how long each polite question took
    impolite: list[str] = field(default_factory=list)  #: what polite clients had to see
    growth_bytes: int = 0  #: of the interface server, at worst
    counters: dict[str, int] = field(default_factory=dict)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    folder = tmp_path_factory.mktemp("hostile_clients")
    traces = Traces(folder / "traces")
    seen = Outcome(traces)
    with redis_server(folder / "redis") as redis, ExitStack() as stack:
        url = redis_url(redis)
        for name in ("one", "two"):
            stack.enter_context(
                towpath_worker("hostile_clients", url, app_dir=PROJECT, run_dir=folder / name, env=traces.env)
            )
        server = stack.enter_context(towpath_interface(url, run_dir=folder / "interface", options=OPTIONS))
        asyncio.run(let_all_loose(server, seen))
        told = DEAF + DEAF_SOCKETS + SILENT + DRIPPING
        wait_until(
            lambda: len(ends_of(traces, "/pour/", "/flood/", "/digest/silent", "/digest/dripping")) >= told,
            "all are told",
        )
        wait_until(lambda: counted(url, seen), "all are counted")
    yield seen


def counted(url: str, seen: Outcome) -> bool:
    """A lease tells what was counted up to a second ago."""
    (lease,) = (lease for lease in leases_at(url) if lease["role"] == "interface")
    seen.counters = lease["counters"]
    return sum(seen.counters.values()) >= HEADS + SILENT + DEAF + DEAF_SOCKETS


async def let_all_loose(server: Server, seen: Outcome) -> None:
    """Everybody at once; the polite ones ask until the last of the others has ended."""
    over = asyncio.Event()
    polite = [
        asyncio.ensure_future(each)
        for each in (asks(server, seen, over), posts(server, seen, over), echoes(server, seen, over))
    ]
    watching = asyncio.ensure_future(watch_memory(server.process.pid, seen, over))
    hostile: list[Coroutine[Any, Any, None]] = [
        *(slow_head(server, seen) for _ in range(HEADS)),
        *(silent_body(server, seen) for _ in range(SILENT)),
        *(dripping_body(server, seen) for _ in range(DRIPPING)),
        deaf_ones(server, seen.traces),
    ]  # fmt: skip
    try:
        async with asyncio.timeout(SIEGE_S_MAX):
            await asyncio.gather(*hostile)
    finally:
        over.set()
        await asyncio.gather(*polite, watching)


def ends_of(traces: Traces, *paths: str) -> list[str]:
    """What applications were told, for paths that begin so."""
    return sorted(line for line in traces.lines("ends") if line.startswith(paths))


def handshake(path: str) -> str:
    return (
        f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )


# Hostile ones.


async def slow_head(server: Server, seen: Outcome) -> None:
    """A head that grows by a byte now and then, and never ends."""
    words = itertools.chain(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ", itertools.repeat(ord("x")))
    reader, writer = await asyncio.open_connection(server.host, server.port)
    seen.heads.append(await answered(reader, writer, (bytes((each,)) for each in words)))


async def silent_body(server: Server, seen: Outcome) -> None:
    """Half of a body, and then nothing."""
    reader, writer = await asyncio.open_connection(server.host, server.port)
    writer.write(b"POST /digest/silent HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf ")
    seen.silent.append(await answered(reader, writer, iter(())))


async def dripping_body(server: Server, seen: Outcome) -> None:
    """A body of which a byte comes now and then, until it is whole."""
    reader, writer = await asyncio.open_connection(server.host, server.port)
    head = b"POST /digest/dripping HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    writer.write(head % len(SLOW_BODY))
    await answered(reader, writer, (bytes((each,)) for each in SLOW_BODY), then=seen.dripping)


async def answered(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, drips: Iterator[bytes], then: list[bytes] | None = None
) -> tuple[bytes, float]:
    """Drip until the server says something; the first line of that, and when. `then`: gets what follows it."""
    begun = time.monotonic()
    answer = asyncio.ensure_future(reader.readline())
    while not answer.done():
        if drop := next(drips, b""):
            writer.write(drop)
        await asyncio.wait([answer], timeout=DRIP_S)
    took = time.monotonic() - begun
    if then is not None:
        then.append(await reader.read())
    writer.close()
    return await answer, took


async def deaf_ones(server: Server, traces: Traces) -> None:
    """They ask for floods, and take nothing of them, until the applications were told of the end.

    Who takes nothing cannot be told itself: what says so stands behind what it does not take.
    """
    words = [f"GET /pour/{number} HTTP/1.1\r\nHost: x\r\n\r\n" for number in range(DEAF)]
    words += [handshake(f"/flood/{number}") for number in range(DEAF_SOCKETS)]
    with ExitStack() as stack:
        for each in words:
            sock = stack.enter_context(socket.socket())
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(sock, (server.host, server.port))
            sock.send(each.encode())
        await until(lambda: len(ends_of(traces, "/pour/", "/flood/")) >= len(words), "their ends", SIEGE_S_MAX)


# Polite ones, and the one who watches.


async def asks(server: Server, seen: Outcome, over: asyncio.Event) -> None:
    await in_turn(
        server,
        seen,
        over,
        lambda number: (b"GET /hello/%d HTTP/1.1\r\nHost: x\r\n\r\n" % number, b"/hello/%d" % number),
    )


async def posts(server: Server, seen: Outcome, over: asyncio.Event) -> None:
    def question(number: int) -> tuple[bytes, bytes]:
        body = b"%d" % number * 30_000
        head = b"POST /digest/polite HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
        return head + body, hashlib.sha256(body).hexdigest().encode()

    await in_turn(server, seen, over, question)


async def in_turn(server: Server, seen: Outcome, over: asyncio.Event, question: Any) -> None:
    """One question after another on one connection; each answer is judged by its bytes and its time."""
    with noted(seen):
        reader, writer = await asyncio.open_connection(server.host, server.port)
        for number in itertools.count():
            words, expected = question(number)
            begun = time.monotonic()
            writer.write(words)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            body = await reader.readexactly(length)
            seen.polite.append(time.monotonic() - begun)
            if not head.startswith(b"HTTP/1.1 200 ") or body != expected:
                seen.impolite.append(f"{head!r} {body[:80]!r} instead of {expected!r}")
            if over.is_set():
                break
            await asyncio.sleep(0.02)  # a client that thinks
        writer.close()


async def echoes(server: Server, seen: Outcome, over: asyncio.Event) -> None:
    with noted(seen):
        async with connect(f"{server.websocket_url}/echo") as client:
            for number in itertools.count():
                begun = time.monotonic()
                await client.send(str(number))
                if (answer := await client.recv()) != str(number):
                    seen.impolite.append(f"{answer!r} instead of {number}")
                seen.polite.append(time.monotonic() - begun)
                if over.is_set():
                    break
                await asyncio.sleep(0.02)


@contextmanager
def noted(seen: Outcome) -> Iterator[None]:
    """What a polite client had to see is judged by a test, and not by whoever happens to wait for it."""
    try:
        yield
    except Exception as error:
        seen.impolite.append(repr(error))


async def watch_memory(pid: int, seen: Outcome, over: asyncio.Event) -> None:
    before = memory_bytes(pid)
    while not over.is_set():
        seen.growth_bytes = max(seen.growth_bytes, memory_bytes(pid) - before)
        await asyncio.sleep(0.1)


# What must be true.


def test_each_head_that_drips_is_refused_when_its_time_is_over(outcome: Outcome) -> None:
    """P5, P12. 408, not before the 10 s that a slow but honest client has, and for each of them."""
    assert len(outcome.heads) == HEADS
    assert {line for line, _ in outcome.heads} == {b"HTTP/1.1 408 Request Timeout\r\n"}
    assert min(took for _, took in outcome.heads) > 9.5 and max(took for _, took in outcome.heads) < 18
    assert outcome.counters["refused.head_timeout"] == HEADS


def test_a_body_that_stops_is_refused_and_its_application_is_told_once(outcome: Outcome) -> None:
    """P5. It holds its place in a worker no longer than its limit says."""
    assert {line for line, _ in outcome.silent} == {b"HTTP/1.1 408 Request Timeout\r\n"}
    assert min(took for _, took in outcome.silent) > LIMIT_S - 0.5
    assert max(took for _, took in outcome.silent) < LIMIT_S + 6
    assert ends_of(outcome.traces, "/digest/silent") == ["/digest/silent disconnect"] * SILENT
    assert outcome.counters["refused.body_timeout"] == SILENT


def test_a_body_that_drips_arrives_whole_however_long_it_takes(outcome: Outcome) -> None:
    """P5. Three times as long as it may pause."""
    expected = hashlib.sha256(SLOW_BODY).hexdigest().encode()
    assert len(SLOW_BODY) * DRIP_S >= LIMIT_S * 3
    assert [answer[-64:] for answer in outcome.dripping] == [expected] * DRIPPING
    assert ends_of(outcome.traces, "/digest/dripping") == ["/digest/dripping done"] * DRIPPING


def test_whoever_takes_nothing_is_cut_off_and_its_application_is_told_once(outcome: Outcome) -> None:
    """P5. Responses are reset, WebSockets are closed with 1013; nobody is told twice."""
    assert ends_of(outcome.traces, "/pour/") == sorted(f"/pour/{number} disconnect" for number in range(DEAF))
    assert ends_of(outcome.traces, "/flood/") == sorted(f"/flood/{number} 1013" for number in range(DEAF_SOCKETS))
    assert outcome.counters["aborted.stalled"] == DEAF
    assert outcome.counters["closed.stalled"] == DEAF_SOCKETS


def test_polite_clients_are_answered_meanwhile(outcome: Outcome) -> None:
    """P5, P12. Short questions, bodies and a WebSocket: each answer is the right one, and none waits for a limit of the hostile ones."""
    assert not outcome.impolite
    assert len(outcome.polite) > 300
    assert max(outcome.polite) < POLITE_ANSWER_S_MAX
    assert median(outcome.polite) < POLITE_ANSWER_S_MEDIAN_MAX


def test_the_interface_server_grows_by_no_more_than_its_windows(outcome: Outcome) -> None:
    """P5. Forty endless responses and twenty endless sockets wait outside, and not in its memory."""
    assert outcome.growth_bytes < GROWTH_BYTES_MAX, f"grew by {outcome.growth_bytes / MEBIBYTE:.1f} MiB"
