"""Processes of a running `towpath serve`, found by what they say of themselves."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.support.serving import BIN, Server, environment


def towpath(server: Server, *words: str) -> subprocess.CompletedProcess[str]:
    """A command about this `serve`, to its end."""
    command = [BIN / "towpath", *words, "--run-dir", server.run_dir / "run"]
    return subprocess.run(command, env=environment({}), capture_output=True, text=True, timeout=180)


def leases(server: Server) -> list[dict[str, Any]]:
    """All processes as `towpath status` knows them."""
    return _told("--run-dir", server.run_dir / "run")


def leases_at(url: str) -> list[dict[str, Any]]:
    """The same, where processes were started one by one."""
    return _told("--redis", url)


def _told(*where: str | Path) -> list[dict[str, Any]]:
    answer = subprocess.run([BIN / "towpath", "status", "--json", *where], capture_output=True, check=True, timeout=20)
    found: list[dict[str, Any]] = json.loads(answer.stdout)["processes"]
    return found


def processes(server: Server, role: str) -> list[int]:
    """The process numbers of all live processes of a role."""
    # A lease outlives its process by some seconds.
    return [
        lease["pid"] for lease in leases(server) if lease["role"] == role and Path(f"/proc/{lease['pid']}").exists()
    ]


def memory_bytes(pid: int) -> int:
    """The resident memory of a process."""
    with open(f"/proc/{pid}/status") as status:
        for line in status:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    raise AssertionError(f"process {pid} has no memory")


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()


def whole_answer(client: object) -> bytes:
    """Everything that comes until the end of the connection."""
    parts = []
    while part := client.recv(65_536):  # type: ignore[attr-defined]  # a socket
        parts.append(part)
    return b"".join(parts)
