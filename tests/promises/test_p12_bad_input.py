"""P12: bad input gets a clear error and costs nobody else anything."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from pathlib import Path

import msgpack
import pytest
from redis import Redis
from websockets.sync.client import connect

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
    "an unknown kind": packed([77, 1, 1, 1]),
    "a short packet": packed([4, 1]),
    "wrong types": packed([4, "x", 1, "y", 7], [5, [], 1, None, None], [9, 1, 0, 5], [10, 1, 0, None, None]),
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
