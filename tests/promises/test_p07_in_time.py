"""P7: a worker that was asked to leave lets what ends in time end, and is gone in time, whatever its application does."""

from __future__ import annotations

import contextlib
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.promises.conftest import PROJECT, Traces
from tests.promises.fleet import get, leases_at, whole_answer
from tests.support.serving import Server, towpath_interface, towpath_worker, wait_until
from worker.connections.invitations import CALM_S_MAX

LONG_S = 60
ONCE, TWICE = (signal.SIGTERM,), (signal.SIGTERM, signal.SIGINT)  # the kernel may make one of two that are the same
SLACK_S = 3.0  #: for a machine that has more to do


def test_a_request_that_ends_shortly_before_the_time_is_over_is_answered(
    tmp_path: Path, traces: Traces, url: str
) -> None:
    """P7. WebSockets that nobody takes over are closed before that, so that they do not all come back at once; it is not."""
    with (
        both(tmp_path, traces, url, 4) as (interface, worker),
        asked(interface, traces, "/deaf") as client,
        connect(f"{interface.websocket_url}/socket") as websocket,
    ):
        websocket.send("hello")
        assert websocket.recv() == "hello"
        worker.process.terminate()
        with pytest.raises(ConnectionClosed) as closed:
            websocket.recv(timeout=20)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1012
        (traces.folder / "listen").touch()
        assert whole_answer(client).startswith(b"HTTP/1.1 200")
        assert worker.process.wait(20) == 0
        assert "cutting off" not in worker.log


@pytest.mark.parametrize(("signals", "graceful_s", "within_s"), [(ONCE, 2, 2), (TWICE, LONG_S, 0)])
def test_what_is_cut_is_told_and_the_worker_is_gone_in_time(
    tmp_path: Path, traces: Traces, url: str, signals: tuple[int, ...], graceful_s: int, within_s: int
) -> None:
    """P7. A second signal means now. The log names what has failed."""
    with both(tmp_path, traces, url, graceful_s) as (interface, worker), asked(interface, traces, "/hang") as client:
        began = time.monotonic()
        for number in signals:
            worker.process.send_signal(number)
        assert whole_answer(client).startswith(b"HTTP/1.1 502")
        assert worker.process.wait(LONG_S) == 0
        assert time.monotonic() - began < within_s + SLACK_S
        assert "cutting off 1 request that did not finish: POST /hang (interface" in worker.log
        assert traces.lines("disconnects") == ["/hang"] or signals is TWICE  # it is cancelled at once


@pytest.mark.parametrize(("signals", "graceful_s", "within_s"), [(ONCE, 2, 2), (TWICE, LONG_S, 1)])
@pytest.mark.parametrize("path", [f"/block/{LONG_S}", "/block_in_c"])
def test_a_blocked_loop_does_not_keep_a_worker(
    tmp_path: Path, traces: Traces, url: str, signals: tuple[int, ...], graceful_s: int, within_s: int, path: str
) -> None:
    """P7. Its clients get the end that those of the dead get, and the log says what held it."""
    forced = (1,)
    with (
        both(tmp_path, traces, url, graceful_s, forced) as (interface, worker),
        asked(interface, traces, path) as client,
    ):
        began = time.monotonic()
        for number in signals:
            worker.process.send_signal(number)
        assert whole_answer(client).startswith(b"HTTP/1.1 502")
        assert worker.process.wait(LONG_S) in forced
        assert within_s <= time.monotonic() - began < within_s + SLACK_S
        why = "it was asked twice" if signals is TWICE else "2 s are over and its event loop is blocked"
        assert f"this worker exits by force: {why}" in worker.log
        assert "witness.py" in worker.log


def test_threads_of_the_application_do_not_keep_a_worker(tmp_path: Path, traces: Traces, url: str) -> None:
    """P7. Python waits for them at the end; whoever asked for the end does not."""
    forced = (1,)
    with both(tmp_path, traces, url, 1, forced) as (interface, worker), asked(interface, traces, "/thread") as client:
        began = time.monotonic()
        worker.process.terminate()
        assert whole_answer(client).startswith(b"HTTP/1.1 502")
        assert worker.process.wait(LONG_S) in forced
        assert time.monotonic() - began < 1 + 4 + SLACK_S
        assert "and its application has not ended" in worker.log


def test_a_worker_whose_application_called_exit_lives_on_and_still_leaves_in_time(
    tmp_path: Path, traces: Traces, url: str
) -> None:
    """P7, P12. In a task of its own, as Django runs each view: nobody else notices, and the loop that begins again hears signals."""
    forced = (1,)
    with both(tmp_path, traces, url, 2, forced) as (interface, worker), asked(interface, traces, "/hang"):
        for _ in range(2):
            with asked(interface, traces, "/exit_in_a_task") as client:
                assert whole_answer(client).startswith(b"HTTP/1.1 500")
        assert "SystemExit: 7" in worker.log
        with asked(interface, traces, "/stop_the_loop") as client:
            assert whole_answer(client).startswith(b"HTTP/1.1 200")
        assert worker.process.poll() is None
        with asked(interface, traces, f"/block/{LONG_S}"):
            began = time.monotonic()
            worker.process.terminate()
            assert worker.process.wait(LONG_S) in forced
            assert time.monotonic() - began < 2 + SLACK_S
        assert "this worker exits by force: 2 s are over and its event loop is blocked" in worker.log


def test_who_was_sent_to_a_worker_that_stands_still_is_told_to_try_again_when_the_interface_server_must_go(
    tmp_path: Path, traces: Traces, url: str
) -> None:
    """P3, P7. Unless it may be started once only: its worker may have begun a moment ago."""
    options = ("--timeout-graceful-shutdown", "2")
    with (
        towpath_interface(url, run_dir=tmp_path / "interface", options=options) as interface,
        towpath_worker("witness", url, run_dir=tmp_path / "worker", app_dir=PROJECT, env=traces.env) as worker,
    ):
        wait_until(
            lambda: is_frozen_while_it_invites(worker, url), "the worker is frozen", CALM_S_MAX * 2, server=interface
        )
        try:
            with interface.connect(timeout_s=30) as reader, interface.connect(timeout_s=30) as writer:
                reader.sendall(get("/never"))
                writer.sendall(post("/never"))
                wait_until(
                    lambda: any(lease.get("direct_total", 0) >= 2 for lease in leases_at(url)), "both were sent to it"
                )
                interface.process.terminate()
                answers = whole_answer(reader), whole_answer(writer)
        finally:
            worker.process.send_signal(signal.SIGCONT)
        assert answers[0].startswith(b"HTTP/1.1 503") and b"\r\nretry-after: 1\r\n" in answers[0].lower()
        assert answers[1].startswith(b"HTTP/1.1 502")
        assert interface.process.wait(20) == 0


def test_a_worker_does_not_wait_for_what_nobody_can_receive_until_it_is_ended_by_force(
    tmp_path: Path, traces: Traces, url: str
) -> None:
    """P7, P9. Its last word is for an interface server that stands still, and Redis has lost the inbox of that."""
    with both(tmp_path, traces, url, 1) as (interface, worker), asked(interface, traces, "/hang"):
        interface.process.send_signal(signal.SIGSTOP)
        try:
            with Redis.from_url(url) as redis:
                redis.flushall()
            worker.process.terminate()
            assert worker.process.wait(LONG_S) == 0
        finally:
            interface.process.send_signal(signal.SIGCONT)


def is_frozen_while_it_invites(worker: Server, url: str) -> bool:
    """Freeze a worker. If it had just withdrawn its invitation, as when the machine has paused, it goes on, and False is returned."""
    wait_until(
        lambda: lease_of_interface(url).get("inviting_workers"), "the interface server is invited", CALM_S_MAX * 2
    )
    worker.process.send_signal(signal.SIGSTOP)
    before = lease_of_interface(url)["up_s"]
    wait_until(lambda: lease_of_interface(url)["up_s"] != before, "a later lease")
    if lease_of_interface(url)["inviting_workers"]:
        return True
    worker.process.send_signal(signal.SIGCONT)
    return False


def lease_of_interface(url: str) -> dict[str, Any]:
    """What the only interface server tells of itself, if there is one yet."""
    return next((lease for lease in leases_at(url) if lease["role"] == "interface"), {})


@contextlib.contextmanager
def both(
    tmp_path: Path, traces: Traces, url: str, graceful_s: int, exit_codes: tuple[int, ...] = (0,)
) -> Iterator[tuple[Server, Server]]:
    """An interface server and one worker, of which nobody takes care."""
    options = ("--timeout-graceful-shutdown", str(graceful_s))
    how = {"app_dir": PROJECT, "env": traces.env, "options": options, "exit_codes": exit_codes}
    with (
        towpath_interface(url, run_dir=tmp_path / "interface") as interface,
        towpath_worker("witness", url, run_dir=tmp_path / "worker", **how) as worker,
    ):
        yield interface, worker


def post(path: str) -> bytes:
    """A request that may be started only once."""
    return get(path).replace(b"GET", b"POST").replace(b"Host", b"Content-Length: 0\r\nHost")


@contextlib.contextmanager
def asked(interface: Server, traces: Traces, path: str) -> Iterator[socket.socket]:
    """A client whose request, which nobody may start twice, is under way."""
    with interface.connect(timeout_s=30) as client:
        client.sendall(post(path))
        wait_until(lambda: path in traces.starts("POST"), "it is under way", server=interface)
        yield client
