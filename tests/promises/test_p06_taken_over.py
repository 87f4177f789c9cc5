"""P6: a WebSocket that asked for it outlives a crash of its worker; each event is given to at most one instance."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.promises.conftest import PROJECT, Traces
from tests.support.serving import Server, towpath_serve, wait_until


@pytest.fixture
def server(tmp_path: Path, traces: Traces) -> Iterator[Server]:
    options = ("--workers", "2")
    with towpath_serve(
        "crash_resumable_echo", app_dir=PROJECT, run_dir=tmp_path, env=traces.env, options=options
    ) as server:
        yield server


def heard(socket: ClientConnection) -> tuple[str, int, str]:
    """What came back, the instance's count, and its process."""
    said, count, pid = str(socket.recv(timeout=30)).split()
    return said, int(count), pid


def echo(socket: ClientConnection, text: str) -> tuple[str, int, str]:
    socket.send(text)
    return heard(socket)


def test_a_socket_that_asked_for_it_is_taken_over_twice_a_minute_and_then_closed(
    server: Server, traces: Traces
) -> None:
    """P6, P3. State stays; what the dead worker was given is not repeated, read or not; the third crash is close 1012."""
    with connect(f"{server.websocket_url}/crash") as socket:
        _, count, pid = echo(socket, "a")
        pids = {pid}
        for death in (1, 2):
            for text in (f"die{death}", *(f"burst{death}.{number}" for number in range(20))):
                socket.send(text)
            wait_until(lambda death=death: len(traces.lines("started")) == 1 + death, "the next instance", 30, server)
            socket.send(f"mark{death}")
            said = ""
            while said != f"mark{death}":
                before, (said, count, pid) = count, heard(socket)
                assert count == before + 1
            pids.add(pid)
        assert len(pids) == 3
        socket.send("die3")
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=30)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1012
    consumed = traces.lines("consumed")
    assert len(consumed) == len(set(consumed))
    assert len(traces.lines("started")) == 3


def test_a_socket_that_asked_for_planned_hand_off_alone_is_closed_with_1012(server: Server, traces: Traces) -> None:
    """P6. `True` speaks of reloads: what the dead worker had consumed is unknown to this application."""
    with connect(f"{server.websocket_url}/true") as socket:
        assert echo(socket, "a")[:2] == ("a", 1)
        began = time.monotonic()
        socket.send("die")
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=30)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1012
        assert time.monotonic() - began < 5
    assert traces.lines("consumed") == ["a", "die"]
