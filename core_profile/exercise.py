"""Exercises the compiled core: `python core_profile/exercise.py FOLDER` serves with the Towpath in FOLDER, and works it for some seconds.

setup.py calls it between its two passes (TOWPATH_COMPILE=profile). What is done here is what the core is optimized for: small
requests most of all, alone and many at a time, then pages, bodies, streams, WebSockets and groups. Anything that is not answered
as expected ends it with an error, and with it the build.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

HERE = Path(__file__).parent
HOST = "127.0.0.1"
CONNECTIONS = 48
START_S, STOP_S, ALL_S = 60.0, 60.0, 300.0
WORKERS = "2"

FIELDS = "Host: example.com\r\nUser-Agent: exercise/1\r\nAccept: */*\r\nAccept-Encoding: gzip, deflate\r\n"
UPGRADE = f"{FIELDS}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {'A' * 22}==\r\n"
#: Frames of a client: an empty masking key, so that the payload stays as it is (RFC 6455, 5.3).
MASK = b"\0\0\0\0"
TEXT, BINARY = 0x81, 0x82


class Client:
    """One keep-alive connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def connected(cls, port: int) -> Client:
        return cls(*await asyncio.open_connection(HOST, port))

    async def request(self, target: str, body: bytes = b"") -> bytes:
        """The body of the response, which is a success."""
        method = "POST" if body else "GET"
        length = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
        self._writer.write(f"{method} {target} HTTP/1.1\r\n{FIELDS}{length}\r\n".encode() + body)
        head = await self._reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise ValueError(f"{target} was answered with {head!r}")
        fields = dict(line.split(": ", 1) for line in head.decode().lower().split("\r\n")[1:-2])
        return await self._reader.readexactly(int(fields["content-length"]))

    async def upgrade(self) -> None:
        """From here on, messages."""
        self._writer.write(f"GET /ws HTTP/1.1\r\n{UPGRADE}\r\n".encode())
        head = await self._reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101"):
            raise ValueError(f"an upgrade was answered with {head!r}")

    def send(self, kind: int, message: bytes) -> None:
        """A message of at most 125 bytes."""
        self._writer.write(bytes([kind, 0x80 | len(message)]) + MASK + message)

    async def message(self) -> bytes:
        """The next message, of at most 125 bytes."""
        return await self._reader.readexactly((await self._reader.readexactly(2))[1])

    def close(self) -> None:
        self._writer.close()


async def pages(client: Client) -> None:
    """Mostly small responses, and some of each other kind."""
    for number in range(400):
        await client.request("/hello")
        if number % 10 == 0:
            await client.request(f"/page?number={number}")
            text = b'{"number": %d, "text": "%s"}' % (number, b"x" * 200)
            if await client.request("/repeat", text) != text:
                raise ValueError("a body came back as another")
        if number % 100 == 0:
            await client.request("/stream")


async def echoes(client: Client) -> None:
    """One message after the other."""
    await client.upgrade()
    for number in range(200):
        client.send(BINARY, b"message %d" % number)
        if await client.message() != b"message %d" % number:
            raise ValueError("an echo was another message")


async def texts(clients: list[Client]) -> None:
    """Each member of a group gets what one of them says."""
    for number in range(100):
        clients[number % len(clients)].send(TEXT, b"text %d" % number)
        for client in clients:
            if await client.message() != b"text %d" % number:
                raise ValueError("a member of the group received another message")


async def exercise(port: int) -> None:
    """Everything, one kind after the other."""
    clients = await connected(port, CONNECTIONS)
    await on_each(clients, pages)
    await pages(clients[0])
    sockets = await connected(port, CONNECTIONS)
    await on_each(sockets, echoes)
    await texts(sockets)
    for each in (*clients, *sockets):
        each.close()


async def connected(port: int, count: int) -> list[Client]:
    return [await Client.connected(port) for _ in range(count)]


async def on_each(clients: list[Client], work: Callable[[Client], Awaitable[None]]) -> None:
    """`work` on all of them at once."""
    await asyncio.gather(*map(work, clients))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def wait_until_ready(server: subprocess.Popen[bytes], port: int) -> None:
    """Return once the application answers."""
    end = time.monotonic() + START_S
    while True:
        try:
            with socket.create_connection((HOST, port), timeout=START_S) as probe:
                probe.sendall(f"GET /hello HTTP/1.1\r\n{FIELDS}\r\n".encode())
                if probe.recv(12) == b"HTTP/1.1 200":
                    return
        except OSError:
            pass
        if server.poll() is not None or time.monotonic() > end:
            sys.exit("towpath serve does not answer")
        time.sleep(0.1)


def environment(path: str) -> dict[str, str]:
    """This one, without settings for the user's own deployment, and without bytecode that would become a part of what is built."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("TOWPATH_")}
    return own | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}


def ended(server: subprocess.Popen[bytes]) -> int:
    """The exit code of a server that was told to stop. One that hangs is killed."""
    try:
        return server.wait(STOP_S)
    except subprocess.TimeoutExpired:
        server.kill()
        return server.wait()


def main(core: str) -> None:
    """Serve with the Towpath in the folder `core`, and stop it in order: its processes write their counts when they exit."""
    port = free_port()
    path = os.pathsep.join(filter(None, (str(Path(core).resolve()), os.environ.get("PYTHONPATH"))))
    with tempfile.TemporaryDirectory(prefix="towpath-") as run_dir:
        options = ["--app-dir", HERE, "--run-dir", run_dir, "--host", HOST, "--port", str(port)]
        counts = ["--interfaces", "1", "--workers", WORKERS, "--no-access-log", "--log-level", "warning"]
        command = [sys.executable, "-m", "towpath", "serve", "application:application", *options, *counts]
        server = subprocess.Popen(command, cwd=run_dir, env=environment(path))
        try:
            wait_until_ready(server, port)
            asyncio.run(asyncio.wait_for(exercise(port), ALL_S))
        finally:
            server.send_signal(signal.SIGTERM)
            code = ended(server)
    if code:
        sys.exit(f"towpath serve has ended with {code}")


if __name__ == "__main__":
    main(sys.argv[1])
