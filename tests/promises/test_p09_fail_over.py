"""P9: another server becomes the primary, and no process has to be restarted, no connection hangs, and all goes on soon after."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from websockets.sync.client import connect

from tests.promises.asking import BACK_S, Asking, echo, flows_again
from tests.promises.conftest import PROJECT, Traces
from tests.support.redis_sentinels import RedisSentinels
from tests.support.serving import towpath_interface, towpath_worker, wait_until

AT_ONCE = ("--half-close-timeout", "0")  #: a client that closes has left
HANG = b"POST /hang HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture(scope="module")
def sentinels() -> Iterator[RedisSentinels]:
    """The same servers for all that befalls the primary among them. With two replicas a promotion is told late: the other moves first."""
    sentinels = RedisSentinels(replicas=2)
    try:
        yield sentinels.start()
    finally:
        sentinels.remove()


def killed(sentinels: RedisSentinels) -> Callable[[], None]:
    primary = sentinels.primary
    primary.stop()
    return primary.start


def moved_by_hand(sentinels: RedisSentinels) -> Callable[[], None]:
    """The primary believes that it is one until the Sentinel looks again, some ten seconds later."""
    sentinels.fail_over()
    return lambda: None


def frozen(sentinels: RedisSentinels) -> Callable[[], None]:
    """No connection to it ends; and when it moves again it still believes that it is the primary."""
    primary = sentinels.primary
    primary.signal(signal.SIGSTOP)
    return lambda: primary.signal(signal.SIGCONT)


@pytest.mark.parametrize("trouble", [killed, moved_by_hand, frozen], ids=lambda trouble: trouble.__name__)
def test_all_goes_on_at_the_next_primary(
    sentinels: RedisSentinels, traces: Traces, tmp_path: Path, trouble: Callable[[RedisSentinels], Callable[[], None]]
) -> None:
    """P3, P9. New work flows within 2 s of the promotion, and goes on when the last primary comes back and is told otherwise;
    open sockets echo, who waits for an answer is not forgotten, nothing is started twice, and nobody who asked hangs.
    """
    sentinels.until_whole()
    with (
        towpath_interface(sentinels.url, run_dir=tmp_path / "interface", options=AT_ONCE) as interface,
        towpath_worker(
            "witness", sentinels.url, run_dir=tmp_path / "worker", app_dir=PROJECT, env=traces.env
        ) as worker,
    ):
        flows_again(interface)
        with (
            connect(f"{interface.websocket_url}/survivor") as socket,
            interface.connect() as hanging,
            Asking(interface) as asking,
        ):
            echo(socket, "before")
            hanging.sendall(HANG)
            wait_until(lambda: traces.lines("hanging"), "a worker has it in hand")
            before = sentinels.primary_port
            recover = trouble(sentinels)
            sentinels.wait_for_promotion(before)
            promoted = time.monotonic()
            assert flows_again(interface) < BACK_S
            echo(socket, "after", BACK_S)
            recover()
            sentinels.until_whole()
            whole = time.monotonic()
            assert flows_again(interface) < BACK_S
            echo(socket, "when all is whole", BACK_S)
            wait_until(lambda: 200 in asking.after(whole), "who has asked all the while is answered")
            hanging.close()
            wait_until(lambda: traces.lines("disconnects"), "who hung up is not waited for")
        answered = [promoted, *(when for when, status in asking.answers if status == 200 and when > promoted)]
        assert max(later - earlier for earlier, later in pairwise(answered)) < BACK_S
        assert_nobody_suffers(asking, traces)
        assert interface.process.poll() is None and worker.process.poll() is None


def assert_nobody_suffers(asking: Asking, traces: Traces) -> None:
    assert not asking.faults, asking.faults
    assert {status for _, status in asking.answers} <= {200, 502, 503}
    posts = traces.starts("POST")
    assert len(posts) == len(set(posts))
    assert traces.lines("disconnects")[0] == "/hang"
