"""What one careless request costs the others: nothing, as long as there is another worker."""

from __future__ import annotations

import select
from pathlib import Path

from redis import Redis

from tests.promises.conftest import PROJECT, Traces
from tests.promises.fleet import get, leases, whole_answer
from tests.support.serving import towpath_serve, wait_until

STREAM, GROUP = "towpath:channel:http.request", "workers"


def test_a_worker_that_is_blocked_by_what_it_took_holds_nothing_that_another_could_serve(
    tmp_path: Path, traces: Traces
) -> None:
    """P6. It reads on only when what it took has run its first step: later requests never wait for a claim."""
    with (
        towpath_serve(
            "witness", app_dir=PROJECT, run_dir=tmp_path, env=traces.env, options=("--workers", "2")
        ) as server,
        Redis.from_url(f"unix://{server.run_dir}/run/redis.sock") as redis,
    ):
        wait_until(
            lambda: [lease.get("fellows") for lease in leases(server) if lease["role"] == "worker"] == [2, 2],
            "they know of each other",
            server=server,
        )
        blocked = server.connect(timeout_s=30)
        blocked.sendall(get("/hold_up"))
        wait_until(lambda: traces.lines("blocking"), "one worker is blocked", server=server)
        (name,) = [lease["node"] for lease in leases(server) if lease["pid"] == int(traces.lines("blocking")[0])]
        for number in range(6):
            with server.connect(timeout_s=30) as client:
                client.sendall(get(f"/{number}"))
                while not select.select([client], [], [], 0.05)[0]:
                    assert not redis.xpending_range(STREAM, GROUP, "-", "+", 10, name), "it has read what it cannot run"
                assert f"/{number}".encode() in whole_answer(client)
        (traces.folder / "unblock").touch()
        assert b"unblocked" in whole_answer(blocked)
