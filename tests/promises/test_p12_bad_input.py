"""P12: bad input gets a clear error and costs nobody else anything."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import msgpack
import pytest
from redis import Redis
from websockets.sync.client import connect

import channel_layer
from tests.promises.conftest import PROJECT, Traces
from tests.promises.fleet import get, whole_answer
from tests.support.serving import Server, towpath_interface, towpath_serve, towpath_worker

MALFORMED_REQUESTS = {
    "no request at all": (b"\x16\x03\x01\x02\x00 hello TLS\r\n\r\n", b"HTTP/1.1 400 "),
    "no Host": (b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 400 "),
    "two lengths": (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", b"HTTP/1.1 400 "),
    "length and chunked": (
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 400 ",
    ),
    "a huge head": (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", b"HTTP/1.1 431 "),
    "a huge target": (b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 414 "),
}


def handshake(path: str) -> bytes:
    return (
        b"GET %b HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    ) % path.encode()


MALFORMED_FRAMES = {
    "not masked": (b"\x81\x02hi", 1002),
    "reserved bits": (b"\xf1\x80\0\0\0\0", 1002),
    "an unknown opcode": (b"\x83\x80\0\0\0\0", 1002),
    "a fragmented ping": (b"\x09\x80\0\0\0\0", 1002),
    "not UTF-8": (b"\x81\x82\0\0\0\0\xff\xff", 1007),
    "too long": (b"\x82\xff" + struct.pack("!Q", 1 << 30) + b"\0\0\0\0", 1009),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("bad")
    with towpath_serve("witness", app_dir=PROJECT, run_dir=folder, env={"TRACES": str(folder)}) as server:
        yield server


@pytest.mark.parametrize("name", MALFORMED_REQUESTS)
def test_a_malformed_request_gets_its_status_and_nobody_else_notices(server: Server, name: str) -> None:
    """P12. A socket that was open before goes on echoing."""
    request, expected = MALFORMED_REQUESTS[name]
    with connect(f"{server.websocket_url}/bystander") as bystander:
        with server.connect() as client:
            client.sendall(request)
            assert whole_answer(client).startswith(expected)
        bystander.send("still here")
        assert bystander.recv(timeout=15) == "still here"


@pytest.mark.parametrize("name", MALFORMED_FRAMES)
def test_a_malformed_frame_closes_its_socket_with_the_right_code(server: Server, name: str) -> None:
    """P12. RFC 6455, 7.4.1."""
    frame, code = MALFORMED_FRAMES[name]
    with connect(f"{server.websocket_url}/bystander") as bystander, server.connect() as client:
        client.sendall(handshake("/bad"))
        head = b""
        while b"\r\n\r\n" not in head:
            part = client.recv(4096)
            assert part, head
            head += part
        assert head.startswith(b"HTTP/1.1 101 ")
        client.sendall(frame)
        answer = head.partition(b"\r\n\r\n")[2]
        while len(answer) < 4:
            part = client.recv(4096)
            assert part, "closed without a close frame"
            answer += part
        assert answer[0] == 0x88
        assert struct.unpack("!H", answer[2:4])[0] == code
        bystander.send("still here")
        assert bystander.recv(timeout=15) == "still here"


SMALLEST = {
    "pongs": b"\x8a\x80\0\0\0\0",
    "empty fragments": b"\x00\x80\0\0\0\0",
    "health": b"GET /-/health/live HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("name", SMALLEST)
def test_whoever_says_nothing_as_fast_as_it_can_holds_nobody_up(server: Server, name: str) -> None:
    """P12. Legal, endless, and for nobody: others are answered meanwhile."""
    over = threading.Event()

    def flood(client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while not over.is_set():
                client.sendall(SMALLEST[name] * 100_000)

    def listen(client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while client.recv(1 << 20):
                pass

    with connect(f"{server.websocket_url}/bystander") as bystander, server.connect() as client:
        if name != "health":
            client.sendall(handshake("/flood") + (b"\x02\x80\0\0\0\0" if name != "pongs" else b""))
        threads = [threading.Thread(target=each, args=(client,)) for each in (flood, listen)]
        for thread in threads:
            thread.start()
        try:
            for number in range(20):
                bystander.send(str(number))
                assert bystander.recv(timeout=20) == str(number)
        finally:
            over.set()
            client.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()


def packed(*packets: object, version: object = 1) -> bytes:
    return msgpack.packb([version, "worker.stranger", list(packets)])


GARBAGE = {
    "no msgpack": b"\xc1\xc1\xc1",
    "a truncated batch": packed([4, 1, 1, 1, []])[:-3],
    "another version": packed([4, 1, 1, 1, []], version=99),
    "no batch": msgpack.packb({"a": 1}),
    "no packet": packed(),
    "an unknown kind": packed([77, 1, 1, 1]),
    "a short packet": packed([4, 1]),
    "wrong types": packed([4, "x", 1, "y", 7], [5, [], 1, None, None], [9, 1, 0, 5], [10, 1, 0, None, None]),
    "reports that no client takes": packed([10, 1, 0, "g", 1, 7], [10, 1, 0, "g", 1, {"type": "note"}]),
    "of a stranger": packed([4, 1, 1, 1, [{"type": "http.response.start"}]], [6, 1, 1, 0], [2, 1, 1, 5]),
    "of a strange connection": packed([7, 1, 1, 0, "x", 5], [4, 9999, 1, 1, [{"type": "websocket.send"}]]),
    "deeply nested": b"\x93\x01\xa1x\x91" + b"\x91" * 2000 + b"\x90",
}


def test_garbage_in_redis_ends_no_connection_of_others(tmp_path: Path, traces: Traces, url: str) -> None:
    """P12. In inboxes, on shared channels and in groups: dropped and counted; connections go on, and processes live."""
    with (
        towpath_interface(url, run_dir=tmp_path / "interface") as interface,
        towpath_worker("rooms", url, app_dir=PROJECT, run_dir=tmp_path / "rooms") as worker,
        Redis.from_url(url) as redis,
        connect(f"{interface.websocket_url}/bystander") as bystander,
    ):
        assert bystander.recv(timeout=20) == '{"joined": true}'
        inboxes = redis.keys("towpath:inbox:*")
        assert len(inboxes) == 2
        for garbage in GARBAGE.values():
            for inbox in inboxes:
                redis.xadd(inbox, {"b": garbage})
            for channel in ("http.request", "websocket.connect"):
                redis.xadd(f"towpath:channel:{channel}", {"b": garbage})
            redis.publish("towpath:group:0:lock", garbage)
        redis.xadd("towpath:channel:http.request", {"b": packed([1, 1, 1, {}, b"", False, 1, 30_000, False, "", None])})
        bystander.send("still here")
        assert bystander.recv(timeout=20) == "still here"
        assert worker.process.poll() is None and interface.process.poll() is None
    with (
        towpath_interface(url, run_dir=tmp_path / "interface2") as interface,
        towpath_worker("witness", url, app_dir=PROJECT, run_dir=tmp_path / "witness", env=traces.env),
        interface.connect(timeout_s=40) as client,
    ):
        client.sendall(get("/after"))
        assert b"/after" in whole_answer(client)


MESSAGE = {"type": "note"}
#: Packets of kind 15, [15, local, 0, event, expiry_ms], and publishes, that are none.
GARBAGE_OF_MESSAGES = {
    **GARBAGE,
    "a message that is short": packed([15, "", 0]),
    "a message that is no map": packed([15, "", 0, ["note"], 60_000]),
    "a message without a type": packed([15, "", 0, {"text": "x"}, 60_000]),
    "a message whose type is a number": packed([15, "", 0, {"type": 7}, 60_000]),
    "an expiry that is none": packed([15, "", 0, MESSAGE, "soon"]),
    "an expiry beyond all numbers": packed([15, "", 0, MESSAGE, 2**63]),
    "a channel that is a number": packed([15, 7, 0, MESSAGE, 60_000]),
    "a channel that does not exist": packed([15, "specific.000000000000", 0, MESSAGE, 60_000]),
    "two messages in one entry": packed([15, "", 0, MESSAGE], [15, "", 0, 7, 60_000]),
    "joins of what is none": packed([10, "specific.0", 0, 7, None], [10, None, 0, "g", 1], [11, [], 0, "g"]),
    "an answer that nobody awaits": packed([12, "specific.0", 0, 12345, True], [12, "x", 0, "y"]),
    "a number without a message": b"\x92\xcf\x00\x00\x00\x00\x00\x00\x00\x01",
    "half a number": b"\x92\xcf\x00\x00",
    "the last number": b"\x92\xcf" + b"\xff" * 8 + msgpack.packb({"no": "type"}),
    "an exclusion of nonsense": msgpack.packb({"type": "note", "towpath.exclude": 7}),
    "an origin of nonsense": msgpack.packb({"type": "note", "towpath.origin": [{}]}),
}


async def test_garbage_in_redis_ends_no_channel_layer(url: str, caplog: pytest.LogCaptureFixture) -> None:
    """P12. In its inbox, on a shared channel and in a group: what follows is received, and nothing is left that is read again."""
    layer, blocking = await channel_layer.connect(url), channel_layer.connect_blocking(url)
    try:
        own = await layer.new_channel()
        await layer.group_add("lock", own)
        with Redis.from_url(url) as redis:
            (inbox,) = redis.keys("towpath:inbox:layer.*")
            for name, garbage in GARBAGE_OF_MESSAGES.items():
                redis.xadd(inbox, {"b": garbage})
                redis.publish("towpath:group:0:lock", garbage)
                for channel in ("work", "other"):
                    redis.xadd(f"towpath:channel:{channel}", {"b": garbage})
                    redis.xadd(f"towpath:channel:{channel}", {"x": garbage})
                await layer.send("work", {**MESSAGE, "behind": name})
                await asyncio.to_thread(blocking.send, "other", {**MESSAGE, "behind": name})
                await layer.send(own, {**MESSAGE, "behind": name})
                await layer.group_send("lock", {**MESSAGE, "behind": f"{name} in a group"})
                assert await received(layer.receive, "work", name) and await received(layer.receive, own, name)
                assert await received(layer.receive, own, f"{name} in a group")
                assert await received(partial(asyncio.to_thread, blocking.receive), "other", name)
            for channel in ("work", "other"):
                assert redis.xpending(f"towpath:channel:{channel}", "workers")["pending"] == 0
            assert redis.xlen("towpath:channel:work") == redis.xlen("towpath:channel:other") == 0
    finally:
        await layer.close()
        await asyncio.to_thread(blocking.close)
    reported = [each.getMessage() for each in caplog.records if each.exc_info is not None]
    assert set(reported) <= {"a malformed packet from worker.stranger"}
    assert not any("lost the connection" in message for message in caplog.messages)


async def received(receive: Callable[[str], Awaitable[dict[str, object]]], channel: str, behind: str) -> bool:
    """True when the message behind this garbage comes. Some garbage is a message by all that can be known of it."""
    async with asyncio.timeout(20):
        while (await receive(channel)).get("behind") != behind:
            pass
    return True
