"""P2: requests of one kept connection stay with one worker, as long as that has places."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.promises.conftest import PROJECT, Traces
from tests.promises.fleet import leases
from tests.support.serving import Server, towpath_serve, wait_until

ASK = b"GET /pid HTTP/1.1\r\nHost: x\r\n\r\n"


def asked(server: Server, times: int) -> Counter[bytes]:
    """How many of so many requests over one connection each process has answered."""
    answers: Counter[bytes] = Counter()
    with server.connect() as client:
        for _ in range(times):
            client.sendall(ASK)
            head, _, body = client.recv(65_536).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            answers[body] += 1
    return answers


def test_the_requests_of_a_kept_connection_stay_with_one_worker(tmp_path: Path, traces: Traces) -> None:
    """Applications that keep something in their process between two requests of a client rely on it under other servers."""
    with towpath_serve(
        "witness", app_dir=PROJECT, run_dir=tmp_path, env=traces.env, options=("--workers", "2")
    ) as server:
        wait_until(lambda: [lease.get("fellows") for lease in leases(server)].count(2) == 2, "both workers are there")
        wait_until(
            lambda: len(asked(server, 1) + asked(server, 1)) == 2, "both are sent requests, in turn", server=server
        )
        # As long as none rests: on a busy machine a worker may be blocked for a moment, and is then sent nothing directly for a while.
        wait_until(
            lambda: sorted(of_single_requests(server, 20).values()) == [10, 10],
            "each worker has places for all of them, so they alternate",
            server=server,
        )
        wait_until(
            lambda: are_spread_and_stay([asked(server, 20) for _ in range(4)]),
            "connections are spread, and each stays with its worker",
            server=server,
        )


def of_single_requests(server: Server, times: int) -> Counter[bytes]:
    """The same for requests over a connection each."""
    answers: Counter[bytes] = Counter()
    for _ in range(times):
        answers += asked(server, 1)
    return answers


def are_spread_and_stay(connections: list[Counter[bytes]]) -> bool:
    """True if each connection had one worker, and all together had both."""
    return all(len(answers) == 1 for answers in connections) and len(set().union(*connections)) == 2
