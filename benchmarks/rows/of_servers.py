"""The rows that compare servers: requests, echoes, a broadcast, idle sockets, a download, a start, the memory of idle processes."""

from __future__ import annotations

from benchmarks import http_load, websocket_load
from benchmarks.apps import BODY
from benchmarks.figures import CPU_ALL, Goal, added, own, ratio
from benchmarks.framework_apps import ORDER, RECEIPT
from benchmarks.rows.row import RATE, Row, both, first_answer, memory, served
from benchmarks.servers import COMPILED, COMPILED_2
from benchmarks.wrk_load import pressed

CROWD = 1_000
HELLO = http_load.get("/")
WITH_COMPILED = ("towpath", COMPILED, "uvicorn", "daphne")
ROWS = (
    Row(
        "hello", "HTTP hello, 64 connections", "request", RATE,
        served("apps:hello", lambda server, size: pressed(server, size.seconds, 64, BODY)),
        (
            Goal("× uvicorn", ratio(RATE, "uvicorn"), 0.72, 0.8),
            Goal(f"× uvicorn, {COMPILED}", ratio(RATE, "uvicorn", COMPILED), 0.95, 1.2),
            Goal(f"× uvicorn's CPU, {COMPILED}", ratio(CPU_ALL, "uvicorn", COMPILED), 1.2, 1, lower_is_better=True),
            Goal("× Daphne", ratio(RATE, "daphne"), 2.5),
        ),
        WITH_COMPILED,
    ),
    Row(
        "latency", "HTTP hello, one connection", "request", "p50 ms",
        served("apps:hello", lambda server, size: http_load.asked(server, size.seconds, 1, HELLO, BODY)),
        (Goal(f"ms of p50 over uvicorn, {COMPILED}", added("p50 ms", "uvicorn", COMPILED), 0.25, 0.15, lower_is_better=True),),
        WITH_COMPILED,
    ),
    Row(
        "hello-2", "HTTP hello, 64 connections; `-2`: two workers", "request", RATE,
        served("apps:hello", lambda server, size: pressed(server, size.seconds, 64, BODY)),
        (
            Goal(f"× uvicorn with two workers, {COMPILED}", ratio(RATE, "uvicorn-2", COMPILED_2), 0.75, 1.0),
            Goal(f"× {COMPILED} with one worker", ratio(RATE, COMPILED, COMPILED_2), 1.0),
            Goal("× Towpath with one worker", ratio(RATE, "towpath", "towpath-2"), 1.0),
        ),
        ("towpath-2", "towpath", COMPILED_2, COMPILED, "uvicorn-2"), "uvicorn-2",
    ),
    Row(
        "echo", "WebSocket echo, 64 sockets, 64 bytes", "round trip", RATE,
        served("apps:echo", lambda server, size: websocket_load.echo(server, size.seconds, 64, 64)),
        (
            *both("× uvicorn", 0.75, 1.0, lambda contestant: ratio(RATE, "uvicorn", contestant)),
            *both("× Daphne", 3, 4, lambda contestant: ratio(RATE, "daphne", contestant)),
        ),
        WITH_COMPILED,
    ),
    Row(
        "crowd", f"Broadcast of 64 bytes to {CROWD:,} WebSockets, again when the last has it", "delivery", RATE,
        served("apps:crowd", lambda server, size: websocket_load.broadcast(server, size.seconds, min(CROWD, size.sockets), 64)),
        both("× uvicorn", 1.23, 1.5, lambda contestant: ratio(RATE, "uvicorn", contestant)),
        WITH_COMPILED,
    ),
    Row(
        "idle", "Idle WebSockets, no compression", "socket opened", "KiB all",
        served("apps:idle", lambda server, size: websocket_load.idle(server, size.sockets)),
        both("KiB in all processes", 8.3, 6, lambda contestant: own("KiB all", contestant), lower_is_better=True),
        WITH_COMPILED,
    ),
    Row(
        "download", "A streamed download, 64 KiB chunks, one client", "MiB", "MiB/s",
        served("apps:download", lambda server, size: http_load.download(server, size.mebibytes)),
        both("× uvicorn", 0.35, 0.6, lambda contestant: ratio("MiB/s", "uvicorn", contestant)),
        WITH_COMPILED,
    ),
    Row(
        "start", "The start, to the first answer: hello", "start", "s", first_answer("apps:hello", HELLO, BODY),
        both("s", 0.75, 0.5, lambda contestant: own("s", contestant), lower_is_better=True),
        ("towpath", COMPILED, "uvicorn"),
    ),
    Row(
        "start-fastapi", "The start, to the first answer: FastAPI", "start", "s",
        first_answer("framework_apps:fastapi", http_load.post(ORDER), RECEIPT),
        both("s more than uvicorn", 1.0, 0.5, lambda contestant: added("s", "uvicorn", contestant), lower_is_better=True),
        ("towpath", COMPILED, "uvicorn"),
    ),
    Row(
        "memory", "Resident memory of idle processes, hello (one round)", "start", "MiB all", memory("apps:hello", HELLO, BODY),
        both("MiB", 130, 100, lambda contestant: own("MiB all", contestant), lower_is_better=True),
        ("towpath", COMPILED, "uvicorn"), rounds_max=1,
    ),
)  # fmt: skip
