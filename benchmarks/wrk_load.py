"""The load of `wrk`, a client in C, for what costs the servers least: on few cores each µs of the client is one less for the servers."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess

from benchmarks.figures import Sample
from benchmarks.http_load import FIELDS, asked, get, learn_answer
from benchmarks.servers import Server
from benchmarks.turns import CpuMeter, LoadFailed

WRK = shutil.which("wrk")
WARM_UP_S = 1
#: wrk's own words for a time, in ms.
UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


async def pressed(server: Server, seconds: float, connections: int, body: bytes) -> Sample:
    """As `http_load.asked` with a GET of `/`, which this is where wrk is not installed.

    wrk checks the status of each answer; the body is checked once. Raises LoadFailed.
    """
    if WRK is None:
        return await asked(server, seconds, connections, get("/"), body)
    await learn_answer(server.port, get("/"), body)
    await _run(server.port, connections, WARM_UP_S)
    meter = CpuMeter(server)
    said = await _run(server.port, connections, max(1, round(seconds)))
    figures = {
        "per second": _number(r"Requests/sec: +([\d.]+)", said),
        "p50 ms": _ms(50, said),
        "p99 ms": _ms(99, said),
    }
    return Sample(figures, meter.us_per(_number(r"(\d+) requests in", said)))


async def _run(port: int, connections: int, seconds: int) -> str:
    fields = [argument for field in FIELDS for argument in ("--header", field)]
    command = [str(WRK), "--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s", "--latency"]
    run = await asyncio.create_subprocess_exec(
        *command, *fields, f"http://127.0.0.1:{port}/", stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    said = (await run.communicate())[0].decode()
    if run.returncode or "Non-2xx" in said or "Socket errors" in said:
        raise LoadFailed(f"wrk: {said.strip()[-200:]}")
    return said


def _number(pattern: str, said: str) -> float:
    found = re.search(pattern, said)
    if found is None:
        raise LoadFailed(f"wrk: {said.strip()[-200:]}")
    return float(found[1])


def _ms(percent: int, said: str) -> float:
    found = re.search(rf"\b{percent}% +([\d.]+)(us|ms|s)\b", said)
    if found is None:
        raise LoadFailed(f"wrk: {said.strip()[-200:]}")
    return float(found[1]) * UNITS[found[2]]


def described() -> str:
    """From which client the load of the rows comes that use `pressed`, for the head of the page."""
    if WRK is None:
        return "HTTP hello with 64 connections: from the bench's own client, since wrk is not installed"
    known = subprocess.run([WRK, "--version"], capture_output=True, text=True, check=False).stdout.split()
    return f"HTTP hello with 64 connections: from one thread of wrk {known[1] if len(known) > 1 else ''}".rstrip()
