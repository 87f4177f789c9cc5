"""Processes of a running `towpath serve`, found by what they say of themselves."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path
from typing import Any

from channel_layer.settings import RedisSettings
from tests.support.serving import BIN, Server, environment
from towpath.runtime import run_dir
from towpath.status.lease_reader import LeaseReader


def towpath(server: Server, *words: str) -> subprocess.CompletedProcess[str]:
    """A command about this `serve`, to its end."""
    command = [BIN / "towpath", *words, "--run-dir", server.run_dir / "run"]
    return subprocess.run(command, env=environment({}), capture_output=True, text=True, timeout=180)


def leases(server: Server) -> list[dict[str, Any]]:
    """The leases of all processes of this `serve`, which has said where its Redis is."""
    facts = run_dir.facts(server.run_dir / "run")
    assert facts is not None, server.log
    keys = RedisSettings(encryption_key_file=facts.get("encryption_key_file", ""))
    return _read(LeaseReader(facts["redis"], facts["prefix"], keys))


def leases_at(url: str, key_file: str = "") -> list[dict[str, Any]]:
    """The same, where processes were started one by one."""
    settings = RedisSettings(encryption_key_file=key_file)
    return _read(LeaseReader(url, settings.prefix, settings))


def _read(reader: LeaseReader) -> list[dict[str, Any]]:
    """As `towpath status` reads them, without a process for each reading."""
    with contextlib.closing(reader):
        return reader.read()


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
