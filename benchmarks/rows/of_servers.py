"""The rows that compare servers: requests, echoes, a broadcast, idle sockets, a download, a start, the memory of idle processes."""

from __future__ import annotations

from benchmarks import http_load, websocket_load
from benchmarks.apps import BODY
from benchmarks.figures import Goal, added, best_ratio, own, ratio
from benchmarks.framework_apps import ORDER, RECEIPT
from benchmarks.rows.row import RATE, Row, first_answer, memory, served
from benchmarks.servers import COMPILED

CROWD = 1_000
HELLO = http_load.get("/")
WITH_COMPILED = ("towpath", COMPILED, "uvicorn", "daphne")
ROWS = (
    Row(
        "hello", "HTTP hello, 64 connections", "request", RATE,
        served("apps:hello", lambda server, size: http_load.asked(server, size.seconds, 64, HELLO, BODY)),
        (
            Goal("× uvicorn", ratio(RATE, "uvicorn"), 0.72, 0.8),
            Goal("× uvicorn with the compiled core", best_ratio(RATE, ["uvicorn"], COMPILED), 0.95, 1.2),
            Goal("× Daphne", ratio(RATE, "daphne"), 2.5),
        ),
        WITH_COMPILED,
    ),
    Row(
        "latency", "HTTP hello, one connection", "request", "p50 ms",
        served("apps:hello", lambda server, size: http_load.asked(server, size.seconds, 1, HELLO, BODY)),
        (Goal("ms of p50 over uvicorn", added("p50 ms", "uvicorn"), 0.25, 0.15, lower_is_better=True),),
        WITH_COMPILED,
    ),
    Row(
        "hello-2", "HTTP hello, 64 connections; `-2`: two workers", "request", RATE,
        served("apps:hello", lambda server, size: http_load.asked(server, size.seconds, 64, HELLO, BODY)),
        (
            Goal("× uvicorn with two workers", best_ratio(RATE, ["uvicorn-2"], "towpath-2"), 0.75, 1.0),
            Goal("× Towpath with one worker", best_ratio(RATE, ["towpath"], "towpath-2"), 1.0),
        ),
        ("towpath-2", "towpath", f"{COMPILED}-2", "uvicorn-2"), "uvicorn-2",
    ),
    Row(
        "echo", "WebSocket echo, 64 sockets, 64 bytes", "round trip", RATE,
        served("apps:echo", lambda server, size: websocket_load.echo(server, size.seconds, 64, 64)),
        (
            Goal("× uvicorn", ratio(RATE, "uvicorn"), 0.75, 1.0),
            Goal("× Daphne", ratio(RATE, "daphne"), 3, 4),
        ),
        WITH_COMPILED,
    ),
    Row(
        "crowd", f"Broadcast of 64 bytes to {CROWD:,} WebSockets, again when the last has it", "delivery", RATE,
        served("apps:crowd", lambda server, size: websocket_load.broadcast(server, size.seconds, min(CROWD, size.sockets), 64)),
        (Goal("× uvicorn", ratio(RATE, "uvicorn"), 1.23, 1.5),),
        WITH_COMPILED,
    ),
    Row(
        "idle", "Idle WebSockets, no compression", "socket opened", "KiB all",
        served("apps:idle", lambda server, size: websocket_load.idle(server, size.sockets)),
        (Goal("KiB in all processes", own("KiB all"), 8.3, 6, lower_is_better=True),),
    ),
    Row(
        "download", "A streamed download, 64 KiB chunks, one client", "MiB", "MiB/s",
        served("apps:download", lambda server, size: http_load.download(server, size.mebibytes)),
        (Goal("× uvicorn", ratio("MiB/s", "uvicorn"), 0.35, 0.6),),
    ),
    Row(
        "start", "The start, to the first answer: hello", "start", "s", first_answer("apps:hello", HELLO, BODY),
        (Goal("s", own("s"), 0.75, 0.5, lower_is_better=True),),
        ("towpath", "uvicorn"),
    ),
    Row(
        "start-fastapi", "The start, to the first answer: FastAPI", "start", "s",
        first_answer("framework_apps:fastapi", http_load.post(ORDER), RECEIPT),
        (Goal("s more than uvicorn", added("s", "uvicorn"), 1.0, 0.5, lower_is_better=True),),
        ("towpath", "uvicorn"),
    ),
    Row(
        "memory", "Resident memory of idle processes, hello (one round)", "start", "MiB all", memory("apps:hello", HELLO, BODY),
        (Goal("MiB", own("MiB all"), 130, 100, lower_is_better=True),),
        ("towpath", "uvicorn"), rounds_max=1,
    ),
)  # fmt: skip
