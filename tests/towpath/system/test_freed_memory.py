"""What a process keeps of the memory that it has freed. What a user has set comes first."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import redis

from benchmarks import processes
from tests.support.facts import wait_until
from tests.support.serving import BIN, answers_ping, environment
from towpath.runtime.embedded_redis import SOCKET_NAME
from towpath.system import freed_memory

ROOT = Path(__file__).parents[3]
MEBIBYTE = 2**20
OF_USERS = (
    {"MALLOC_TRIM_THRESHOLD_": "131072"},
    {"MALLOC_MMAP_THRESHOLD_": "131072"},
    {"GLIBC_TUNABLES": "glibc.malloc.trim_threshold=131072"},
    {"GLIBC_TUNABLES": "glibc.malloc.check=0:glibc.malloc.mmap_threshold=131072"},
)

#: Allocates and frees so many MiB in blocks that Python takes from the C library; prints how many of them the process has kept.
BURST = """
import sys
from towpath.runtime import process_markers

def resident_mib():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024

process_markers.enter()
before = resident_mib()
blocks = [bytearray(b"x") * 2**20 for _ in range(int(sys.argv[1]))]
assert resident_mib() - before > 0.9 * len(blocks)
del blocks
print(resident_mib() - before)
"""

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library than glibc")


def resident_mib(pid: int) -> float:
    return processes.rss_kib(pid) / 1024


def kept_mib(mebibytes: int, **variables: str) -> float:
    command = [sys.executable, "-c", BURST, str(mebibytes)]
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    done = subprocess.run(command, cwd=ROOT, env={**ours, **variables}, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


def test_a_process_keeps_what_it_is_going_to_use_again() -> None:
    """P5. At most 16 MiB: what is beyond goes back."""
    assert kept_mib(14) > 10
    assert kept_mib(100) < 20


@pytest.mark.parametrize("variables", OF_USERS, ids=str)
def test_what_the_user_has_set_comes_first(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for the embedded server, which is another program."""
    assert kept_mib(14, **variables) < 5
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert freed_memory.for_another_program() == dict(os.environ)


def test_the_embedded_server_keeps_it_too() -> None:
    """It is another program, and moves each body twice."""
    folder = Path(tempfile.mkdtemp(prefix="towpath-"))  # tmp_path is too long for a socket
    server = subprocess.Popen([BIN / "towpath", "embedded", folder], env=environment({}))
    try:
        wait_until(lambda: answers_ping(folder / SOCKET_NAME), "an answer")
        with redis.Redis(unix_socket_path=str(folder / SOCKET_NAME)) as client:
            before = resident_mib(server.pid)
            for number in range(12):
                client.set(f"body {number}", bytes(1_000_000))
            client.flushall(asynchronous=False)
            assert resident_mib(server.pid) - before > 8
    finally:
        server.kill()
        server.wait()
        shutil.rmtree(folder)


def test_another_program_gets_the_same_by_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names and values as glibc reads them, beside all that is there."""
    for name in ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES"):
        monkeypatch.delenv(name, raising=False)
    ours = {"MALLOC_TRIM_THRESHOLD_": str(16 * MEBIBYTE), "MALLOC_MMAP_THRESHOLD_": str(32 * MEBIBYTE)}
    assert freed_memory.for_another_program() == {**os.environ, **ours}
