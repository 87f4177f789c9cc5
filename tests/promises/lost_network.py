"""A network of its own whose cable can be pulled: the only honest way for a client to vanish without a word.

Two network namespaces and a pair of virtual interfaces between them. Processes start in the one; sockets are made in either,
since a socket belongs to the namespace in which its thread stood when it was made. Nothing outside can reach either of them.
Needs root and iproute2; where these are not, tests skip, which CI=true does not allow.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE, THERE = "198.18.0.1", "198.18.0.2"  # a range for tests of networks, RFC 2544
CLONE_NEWNET = 0x4000_0000
TCP_ESTABLISHED = "01"  # as /proc says it
WITHIN_S = 15.0


class LostNetwork:
    """Made by `lost_network`. Servers listen at any address of `here`; clients come from `there` until the cable is pulled."""

    def __init__(self, name: str) -> None:
        self.here, self.there = f"{name}h", f"{name}t"

    def command(self, *words: str | Path) -> list[str | Path]:
        """The command line that runs `words` here."""
        return ["ip", "netns", "exec", self.here, *words]

    def connect(self, port: int) -> socket.socket:
        """A client that will vanish."""
        return self._connected(self.there, HERE, port)

    def connect_at_home(self, port: int) -> socket.socket:
        """A client on the server's own machine, which no cable concerns."""
        return self._connected(self.here, "127.0.0.1", port)

    def pull_the_cable(self) -> None:
        """From now on nothing comes through, and nobody is told."""
        _ip("-n", self.there, "link", "set", "cable", "down")

    def open_from_there(self, pid: int) -> int:
        """How many connections of `there` a process that was started here still takes for open, or its namespace does."""
        address = socket.inet_aton(THERE)[::-1].hex().upper()
        rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
        return sum(row[2].startswith(address) and row[3] == TCP_ESTABLISHED for row in rows)

    def _connected(self, namespace: str, host: str, port: int) -> socket.socket:
        sock = _socket_in(namespace)
        sock.settimeout(WITHIN_S)
        sock.connect((host, port))
        return sock


@contextlib.contextmanager
def lost_network() -> Iterator[LostNetwork]:
    """Both namespaces, connected; gone afterwards."""
    if shutil.which("ip") is None or os.geteuid() != 0:
        pytest.skip(
            "a client can vanish only in a network of its own: needs root and `ip` (Debian: apt install iproute2)"
        )
    network = LostNetwork(f"towpath{os.getpid()}")
    with contextlib.ExitStack() as stack:
        for namespace in (network.here, network.there):
            _ip("netns", "add", namespace)
            stack.callback(_ip, "netns", "del", namespace)
        _ip("-n", network.here, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", network.there)
        for namespace, address in ((network.here, HERE), (network.there, THERE)):
            _ip("-n", namespace, "address", "add", f"{address}/30", "dev", "cable")
            for interface in ("lo", "cable"):
                _ip("-n", namespace, "link", "set", interface, "up")
        yield network


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, timeout=WITHIN_S)
    if done.returncode:
        pytest.skip(f"no network of its own can be made here: ip {' '.join(words)}: {done.stderr.strip()}")


def _socket_in(namespace: str) -> socket.socket:
    """Made by a thread that goes there, and ends there: no other thread of this process is moved."""
    made: list[socket.socket] = []

    def make() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        with open(f"/run/netns/{namespace}") as server:
            if libc.setns(server.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
        made.append(socket.socket())

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    (sock,) = made
    return sock
