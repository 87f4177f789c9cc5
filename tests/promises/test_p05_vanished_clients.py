"""P5: a client that vanishes without a word is given up in time, whatever it was doing, and its application is told once."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.promises.conftest import PROJECT, Traces
from tests.promises.fleet import leases_at
from tests.promises.lost_network import LostNetwork, lost_network
from tests.support.serving import BIN, Server, free_port, running, towpath_worker, wait_until

PORT = free_port()
OPTIONS = (
    "--stall-timeout", "2", "--body-timeout", "4", "--timeout-keep-alive", "4", "--ws-ping-interval", "1",
    "--ws-ping-timeout", "1", "--timeout-graceful-shutdown", "2",
)  # fmt: skip
#: The longest: a stalled client's time, five seconds more for the kernel, and the grain of both.
GIVEN_UP_S_MAX = 15.0
HANDSHAKE = (
    b"GET %b HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
GET = b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n"

#: What each client asks for, what it hears before it vanishes, and what its application is told.
CLIENTS = {
    "an event stream": (GET % b"/drip", b"data: drop", "/drip disconnect"),
    "a long poll": (GET % b"/poll", None, "/poll disconnect"),
    "half of a request": (
        b"POST /digest HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf",
        None,
        "/digest disconnect",
    ),
    "a quiet WebSocket": (HANDSHAKE % b"/echo", b"\r\n\r\n", "/echo 1006"),
    "a WebSocket that is told much": (HANDSHAKE % b"/flood", b"\r\n\r\n", "/flood 1013"),
    "nothing any more": (GET % b"/hello", b"/hello", None),
    "a long response": (GET % b"/pour", b"\r\n\r\n", "/pour disconnect"),
}


@pytest.fixture
def network() -> Iterator[LostNetwork]:
    with lost_network() as network:
        yield network


def test_clients_that_vanish_without_a_word_are_given_up_in_time(
    network: LostNetwork, tmp_path: Path, url: str, traces: Traces
) -> None:
    """P5. No FIN, no reset, no answer: pings, limits, or the kernel find out, no connection is left, and others are served."""
    command = network.command(
        BIN / "towpath", "interface", "--redis", url, "--host", "0.0.0.0", "--port", str(PORT), *OPTIONS
    )

    def is_ready(_: Server) -> bool:
        try:
            with network.connect_at_home(PORT) as client:
                return answer_of(client, GET % b"/-/health/ready", b"\r\n\r\n").startswith(b"HTTP/1.1 200")
        except ConnectionRefusedError:
            return False

    with (
        towpath_worker("hostile_clients", url, app_dir=PROJECT, run_dir=tmp_path / "worker", env=traces.env),
        running("interface", command, run_dir=tmp_path / "interface", ready=is_ready) as interface,
        ExitStack() as stack,
    ):
        for words, heard, _ in CLIENTS.values():
            client = stack.enter_context(network.connect(PORT))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            if heard is None:
                client.sendall(words)
            else:
                answer_of(client, words, heard)
        begun = {"/poll", "/digest"}
        wait_until(
            lambda: begun <= {*traces.starts("GET"), *traces.starts("POST")}, "they have begun", server=interface
        )
        assert network.open_from_there(interface.process.pid) == len(CLIENTS)
        network.pull_the_cable()
        ends = sorted([told for *_, told in CLIENTS.values() if told])

        def are_given_up() -> bool:
            with network.connect_at_home(PORT) as polite:
                assert answer_of(polite, GET % b"/polite", b"/polite").startswith(b"HTTP/1.1 200")
            return len(told_by(traces)) >= len(ends) and not network.open_from_there(interface.process.pid)

        wait_until(are_given_up, "all are told, and no connection is left", GIVEN_UP_S_MAX, interface)
        assert told_by(traces) == ends
        wait_until(lambda: counters(url).get("aborted.peer_timed_out", 0) >= 2, "the kernel's verdicts are counted")
    assert told_by(traces) == ends, "nobody was told twice"


def answer_of(client: socket.socket, words: bytes, mark: bytes) -> bytes:
    """What is said to `words`, up to where `mark` has come."""
    client.sendall(words)
    answer = b""
    while mark not in answer:
        part = client.recv(1024)
        assert part, answer
        answer += part
    return answer


def counters(url: str) -> dict[str, int]:
    """Of the only interface server."""
    (lease,) = (lease for lease in leases_at(url) if lease["role"] == "interface")
    return dict(lease["counters"])


def told_by(traces: Traces) -> list[str]:
    return sorted(traces.lines("ends") + traces.lines("disconnects"))
