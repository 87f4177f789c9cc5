"""The rows of the table: which application, under which load, held against which goals."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from benchmarks import http_load, websocket_load
from benchmarks.apps import BODY
from benchmarks.figures import Goal, Sample, added, own, ratio
from benchmarks.servers import Server


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything one sample takes."""

    seconds: float
    sockets: int
    mebibytes: int


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    title: str
    app: str
    unit: str  #: what one answer is, of which there are so many per second, and so many µs of CPU per each
    main: str  #: the name of the main figure
    load: Callable[[Server, Size], Awaitable[Sample]]
    goals: tuple[Goal, ...]


RATE = "per second"
CROWD = 1_000
ROWS = (
    Row(
        "hello", "HTTP hello, 64 connections", "apps:hello", "request", RATE,
        lambda server, size: http_load.hello(server, size.seconds, 64, BODY),
        (
            Goal("× uvicorn", ratio(RATE, "uvicorn"), 0.45, 0.7),
            Goal("× Daphne", ratio(RATE, "daphne"), 2.5),
        ),
    ),
    Row(
        "latency", "HTTP hello, one connection", "apps:hello", "request", "p50 ms",
        lambda server, size: http_load.hello(server, size.seconds, 1, BODY),
        (Goal("ms of p50 over uvicorn", added("p50 ms", "uvicorn"), 0.5, 0.3, lower_is_better=True),),
    ),
    Row(
        "django", "A trivial sync Django view, 16 connections", "django_app:application", "request", RATE,
        lambda server, size: http_load.hello(server, size.seconds, 16, BODY),
        (Goal("× uvicorn", ratio(RATE, "uvicorn"), 1.2, 2.0),),
    ),
    Row(
        "echo", "WebSocket echo, 64 sockets, 64 bytes", "apps:echo", "round trip", RATE,
        lambda server, size: websocket_load.echo(server, size.seconds, 64, 64),
        (Goal("× Daphne", ratio(RATE, "daphne"), 0.6, 1.0),),
    ),
    Row(
        "crowd", f"Broadcast of 64 bytes to {CROWD:,} WebSockets, again when the last has it", "apps:crowd", "delivery", RATE,
        lambda server, size: websocket_load.broadcast(server, size.seconds, min(CROWD, size.sockets), 64),
        (),
    ),
    Row(
        "idle", "Idle WebSockets, no compression", "apps:idle", "socket opened", "KiB all",
        lambda server, size: websocket_load.idle(server, size.sockets),
        (
            Goal("KiB in the interface server", own("KiB interface"), 16, 9, lower_is_better=True),
            Goal("KiB in the worker", own("KiB worker"), 12, 6, lower_is_better=True),
        ),
    ),
    Row(
        "download", "A streamed download, 64 KiB chunks, one client", "apps:download", "MiB", "MiB/s",
        lambda server, size: http_load.download(server, size.mebibytes),
        (Goal("× uvicorn", ratio("MiB/s", "uvicorn"), 0.08, 0.2),),
    ),
)  # fmt: skip
