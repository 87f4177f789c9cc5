"""P7: workers that are added get their part of the sockets that are open, and no client notices."""

from __future__ import annotations

import contextlib
from collections import Counter
from pathlib import Path

from websockets.sync.client import connect

from tests.promises.conftest import PROJECT
from tests.promises.fleet import towpath
from tests.support.serving import towpath_serve, wait_until

SOCKETS = 150
WORKERS = 3
BOUND = 1.25 * SOCKETS / WORKERS + 50


def test_workers_that_are_added_are_handed_sockets_until_none_has_too_many(tmp_path: Path) -> None:
    """P7. 150 sockets on one worker; with three the bound is 112."""
    with towpath_serve("owner_count", app_dir=PROJECT, run_dir=tmp_path) as server, contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(connect(server.websocket_url)) for _ in range(SOCKETS)]

        def owners() -> Counter[str]:
            for socket in sockets:
                socket.send("who?")
            return Counter(socket.recv(timeout=20).split()[1] for socket in sockets)

        assert list(owners().values()) == [SOCKETS]
        towpath(server, "scale", f"worker={WORKERS}").check_returncode()
        server.wait_for_log("to workers that have fewer")
        wait_until(lambda: max(owners().values()) <= BOUND, "no worker has too many", 60.0, server=server)
        assert len(owners()) == WORKERS
