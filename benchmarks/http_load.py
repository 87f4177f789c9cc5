"""HTTP under load: small requests over kept connections, and one large download."""

from __future__ import annotations

import asyncio
import time
from typing import cast

from benchmarks.figures import Sample
from benchmarks.servers import Server
from benchmarks.turns import Answer, CpuMeter, LoadFailed, Tally, Turns, end_all, hold

FIRST_ANSWER_DEADLINE_S = 30.0  #: the port may be open before a worker can run the application
DOWNLOAD_DEADLINE_S = 120.0
BUFFER_SIZE_BYTES = 2**20
OK = b"HTTP/1.1 200 "
FIELDS = ("Host: 127.0.0.1", "User-Agent: towpath-bench", "Accept: */*", "Accept-Encoding: identity")
HEAD = " HTTP/1.1\r\n" + "".join(f"{field}\r\n" for field in FIELDS)


def get(target: str) -> bytes:
    """A GET as a browser's is, less all that is optional but a few headers, which every server has to carry."""
    return f"GET {target}{HEAD}\r\n".encode()


def post(content: bytes) -> bytes:
    """A POST of JSON to `/`."""
    return f"POST /{HEAD}Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content


async def asked(server: Server, seconds: float, connections: int, question: bytes, body: bytes) -> Sample:
    """`connections` clients that each send `question` again and again; every answer must be 200 with `body`."""
    tally = Tally()
    answer = await learn_answer(server.port, question, body)
    loop, transports = asyncio.get_running_loop(), []
    try:
        for _ in range(connections):
            made = await loop.create_connection(lambda: Turns(tally, question, answer), "127.0.0.1", server.port)
            transports.append(made[0])
        return await hold(server, tally, seconds)
    finally:
        await end_all(tally, transports)


async def learn_answer(port: int, question: bytes, body: bytes) -> Answer:
    """Ask once and look closely: status 200, a length, the right body. All later answers are this long."""
    async with asyncio.timeout(FIRST_ANSWER_DEADLINE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(question)
            head = await reader.readuntil(b"\r\n\r\n")
            if content_length(head) != len(body) or await reader.readexactly(len(body)) != body:
                raise LoadFailed(f"another body than {body!r}")
        finally:
            writer.close()
    return Answer(len(head) + len(body), OK, b"\r\n\r\n" + body)


def content_length(head: bytes) -> int:
    """The length of the body behind a head of status 200. Raises LoadFailed for every other head."""
    if not head.startswith(OK):
        raise LoadFailed(f"not the status 200: {head[:200]!r}")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line[15:])
    raise LoadFailed(f"no Content-Length: {head[:200]!r}")


class Download(asyncio.BufferedProtocol):
    """Counts the bytes behind one head, in one buffer that is used again and again."""

    def __init__(self, question: bytes) -> None:
        self.question, self.buffer = question, bytearray(BUFFER_SIZE_BYTES)
        self.head, self.missing = b"", -1
        self.done: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).write(self.question)

    def get_buffer(self, size_hint: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, received: int) -> None:
        try:
            self.missing = self.missing - received if self.missing >= 0 else self.begin(bytes(self.buffer[:received]))
        except LoadFailed as failure:
            self.settle(failure)
        if self.missing == 0:
            self.settle(None)

    def begin(self, data: bytes) -> int:
        """Look for the end of the head; the bytes of the body that are still missing, or -1 before the body."""
        self.head += data
        head, end, rest = self.head.partition(b"\r\n\r\n")
        if not end:
            return -1
        self.size_bytes = content_length(head)
        return self.size_bytes - len(rest)

    def connection_lost(self, error: Exception | None) -> None:
        self.settle(LoadFailed(f"the download ended with {self.missing} bytes missing: {error}"))

    def settle(self, failure: LoadFailed | None) -> None:
        if self.done.done():
            return
        if failure is None:
            self.done.set_result(self.size_bytes)
        else:
            self.done.set_exception(failure)


async def download(server: Server, mebibytes: int) -> Sample:
    """One client that takes `mebibytes` as fast as they come, after a small one that wakes all processes up."""
    await fetch(server.port, 1, FIRST_ANSWER_DEADLINE_S)
    meter, began = CpuMeter(server), time.perf_counter()
    await fetch(server.port, mebibytes, DOWNLOAD_DEADLINE_S)
    elapsed_s = time.perf_counter() - began
    return Sample({"MiB/s": mebibytes / elapsed_s}, meter.us_per(mebibytes))


async def fetch(port: int, mebibytes: int, deadline_s: float) -> None:
    loop, question = asyncio.get_running_loop(), get(f"/?mib={mebibytes}")
    async with asyncio.timeout(deadline_s):
        transport, client = await loop.create_connection(lambda: Download(question), "127.0.0.1", port)
        try:
            if await client.done != mebibytes * 2**20:
                raise LoadFailed("a body of another length")
        finally:
            transport.abort()
