"""P7: a rolling restart takes each socket along once, straight to a worker that stays."""

from __future__ import annotations

import contextlib
from collections import Counter
from pathlib import Path

from websockets.sync.client import connect

from tests.promises.conftest import PROJECT
from tests.promises.fleet import processes, towpath
from tests.support.serving import towpath_serve

SOCKETS = 50
WORKERS = 4


def test_a_rolling_restart_moves_each_socket_once(tmp_path: Path) -> None:
    """P7. Workers that are about to be replaced themselves take over nothing as long as a newer one is there to do it."""
    options = ("--workers", str(WORKERS))
    with (
        towpath_serve("owner_count", app_dir=PROJECT, run_dir=tmp_path, options=options) as server,
        contextlib.ExitStack() as stack,
    ):
        sockets = [stack.enter_context(connect(server.websocket_url)) for _ in range(SOCKETS)]

        def ask() -> list[tuple[int, int]]:
            for socket in sockets:
                socket.send("who?")
            answers = [socket.recv(timeout=20) for socket in sockets]
            return [(int(workers) - 1, int(pid)) for workers, pid in map(str.split, answers)]

        old = {pid for _, pid in ask()}
        towpath(server, "reload").check_returncode()
        moves, now = zip(*ask(), strict=True)
        assert not old & set(now)
        assert set(now) <= set(processes(server, "worker"))
        assert Counter(moves) == {1: SOCKETS}
