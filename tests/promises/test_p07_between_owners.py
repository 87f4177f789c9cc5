"""P7: an open WebSocket between two owners is as alive as any other, however long no worker comes."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.promises.conftest import PROJECT, Traces
from tests.promises.fleet import leases_at
from tests.support.serving import Server, towpath_interface, towpath_worker, wait_until
from tests.support.websocket_server import client_frame, upgrade_request

TEXT, PING, PONG = 1, 9, 10
#: More than one WebSocket may have waiting: a window of 256 KiB, and what the kernel takes is beside it.
TOO_MUCH = [client_frame(TEXT, b"x" * 1000)] * 300


@pytest.fixture
def interface(url: str, tmp_path: Path) -> Iterator[Server]:
    with towpath_interface(url, run_dir=tmp_path / "interface") as interface:
        yield interface


class Raw:
    """A client whose end is only that of its TCP connection."""

    def __init__(self, interface: Server, name: str) -> None:
        self.socket = interface.connect()
        self.socket.sendall(upgrade_request().replace(b"/chat?room=lock", name.encode()))
        assert b" 101 " in self._heard(b"\r\n\r\n")
        self.socket.sendall(client_frame(TEXT, b"hello"))
        self._heard(b"hello 1 ")

    def say(self, *frames: bytes) -> None:
        self.socket.sendall(b"".join(frames))

    def wait_for_pong(self) -> None:
        self.say(client_frame(PING, b"there?"))
        self._heard(bytes((0x80 | PONG, 6)) + b"there?")

    def hang_up(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def _heard(self, what: bytes) -> bytes:
        data = b""
        while what not in data:
            part = self.socket.recv(4096)
            assert part, f"closed after {data!r}"
            data += part
        return data


def wait_until_queued(url: str, number: int) -> None:
    """Until so many connections are left, and all of them wait for a worker."""

    def figures() -> tuple[int, int]:
        (lease,) = (lease for lease in leases_at(url) if lease["role"] == "interface")
        return lease.get("connections", -1), lease.get("queued", -1)  # the first lease has no figures yet

    wait_until(lambda: figures() == (number, number), f"{number} connections, all of them queued", 10.0)


def echo(client: ClientConnection, text: str) -> None:
    client.send(text)
    assert str(client.recv(timeout=20)).startswith(f"{text} ")


def test_between_two_owners_pings_and_closes_are_answered_and_messages_wait_in_order(
    interface: Server, url: str, tmp_path: Path, traces: Traces
) -> None:
    """P1, P7. No worker is there; the client goes on speaking, and its keep-alive finds nothing wrong."""
    how = {"app_dir": PROJECT, "run_dir": tmp_path, "env": traces.env}
    with ExitStack() as stack:
        with towpath_worker("crash_resumable_echo", url, **how):
            stays = stack.enter_context(connect(f"{interface.websocket_url}/true"))
            closes = stack.enter_context(connect(f"{interface.websocket_url}/true", close_timeout=20))
            for client in (stays, closes):
                echo(client, "hello")
        wait_until_queued(url, 2)
        texts = [f"early {number}".replace(" ", "_") for number in range(100)]
        for text in texts:
            stays.send(text)
            assert text != "early_50" or stays.ping().wait(20), "a ping between two messages is answered"
        assert stays.ping().wait(20), "a ping behind many messages is answered"
        began = time.monotonic()
        closes.close(1000)
        assert time.monotonic() - began < 5 and closes.close_code == 1000
        wait_until_queued(url, 1)
        with towpath_worker("crash_resumable_echo", url, **how):
            for number, text in enumerate(texts):
                assert str(stays.recv(timeout=20)).startswith(f"{text} {number + 2} ")
    assert traces.lines("consumed") == ["hello", "hello", *texts]
    assert len(traces.lines("started")) == 3


def test_a_client_that_closes_between_two_owners_is_answered_at_once_and_read_by_the_next(
    interface: Server, url: str, tmp_path: Path, traces: Traces
) -> None:
    """P1, P7. What was said before a close that was answered is not lost because of a deploy; then the instance is disconnected."""
    how = {"app_dir": PROJECT, "run_dir": tmp_path, "env": traces.env}
    with ExitStack() as stack:
        with towpath_worker("crash_resumable_echo", url, **how):
            client = stack.enter_context(connect(f"{interface.websocket_url}/true", close_timeout=20))
            echo(client, "hello")
        wait_until_queued(url, 1)
        client.send("farewell")
        began = time.monotonic()
        client.close(1000)
        assert time.monotonic() - began < 5 and client.close_code == 1000
    with towpath_worker("crash_resumable_echo", url, **how) as worker:
        wait_until(lambda: traces.lines("consumed") == ["hello", "farewell"], "its last words", 20, worker)
        wait_until_queued(url, 0)
    assert len(traces.lines("started")) == 2


@pytest.mark.parametrize("end", [Raw.hang_up, Raw.reset])
def test_a_client_that_vanishes_between_two_owners_is_withdrawn_and_never_started(
    end: Callable[[Raw], None], interface: Server, url: str, tmp_path: Path, traces: Traces
) -> None:
    """P3, P5. Silent, after a few messages, or after so many that it is not read any more: its end is noticed in seconds."""
    how = {"app_dir": PROJECT, "run_dir": tmp_path, "env": traces.env}
    with towpath_worker("crash_resumable_echo", url, **how):
        silent, spoke, floods = (Raw(interface, "/true") for _ in range(3))
    wait_until_queued(url, 3)
    silent.wait_for_pong()
    spoke.say(client_frame(TEXT, b"early"))
    spoke.wait_for_pong()
    floods.say(*TOO_MUCH)
    for left, client in ((2, silent), (1, spoke), (0, floods)):
        end(client)
        wait_until_queued(url, left)
    with towpath_worker("crash_resumable_echo", url, **how), connect(f"{interface.websocket_url}/true") as other:
        echo(other, "other")
    assert len(traces.lines("started")) == 4
    assert traces.lines("consumed") == ["hello", "hello", "hello", "other"]


def test_who_is_between_two_owners_for_too_long_is_closed_with_1012(url: str, tmp_path: Path, traces: Traces) -> None:
    """P6. Whatever it has said meanwhile: it may come again."""
    how = {"app_dir": PROJECT, "run_dir": tmp_path, "env": traces.env}
    with (
        towpath_interface(url, run_dir=tmp_path / "interface", options=("--resume-wait", "2")) as interface,
        ExitStack() as stack,
    ):
        with towpath_worker("crash_resumable_echo", url, **how):
            silent = stack.enter_context(connect(f"{interface.websocket_url}/true"))
            spoke = stack.enter_context(connect(f"{interface.websocket_url}/true"))
            floods = stack.enter_context(connect(f"{interface.websocket_url}/true"))
            for client in (silent, spoke, floods):
                echo(client, "hello")
        spoke.send("early")
        for _ in range(300):
            floods.send("x" * 1000)
        for client in (silent, spoke, floods):
            with pytest.raises(ConnectionClosed) as closed:
                client.recv(timeout=20)
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 1012
        wait_until_queued(url, 0)
    assert len(traces.lines("started")) == 3
