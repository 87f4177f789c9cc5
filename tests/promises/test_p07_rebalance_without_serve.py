"""P7: `towpath rebalance` reaches workers that no `serve` has started, through Redis."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

import pytest
from websockets.sync.client import connect

from tests.promises.conftest import PROJECT
from tests.promises.fleet import leases_at
from tests.support.serving import BIN, environment, towpath_interface, towpath_worker, wait_until

SOCKETS = 60
KEY = "K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72 of this test"


def counts(url: str, key_file: str) -> list[int]:
    """The WebSockets of each worker, by the leases."""
    return [lease["websockets"] for lease in leases_at(url, key_file) if lease["role"] == "worker"]


@pytest.mark.parametrize("encrypted", [False, True])
def test_rebalance_reaches_processes_that_were_started_one_by_one(tmp_path: Path, url: str, encrypted: bool) -> None:
    """P7. 60 sockets on one worker and none on the other: at most 40 on each, and all are there still."""
    key_file = tmp_path / "keys"
    key_file.write_text(KEY)
    options = ("--encryption-key-file", str(key_file)) if encrypted else ()
    keys = str(key_file) if encrypted else ""
    worker_options = (*options, "--rebalance-rate", "0")
    with contextlib.ExitStack() as stack:
        start = stack.enter_context
        server = start(towpath_interface(url, run_dir=tmp_path, options=options))
        start(towpath_worker("owner_count", url, run_dir=tmp_path / "one", app_dir=PROJECT, options=worker_options))
        sockets = [start(connect(server.websocket_url, open_timeout=60)) for _ in range(SOCKETS)]
        start(towpath_worker("owner_count", url, run_dir=tmp_path / "two", app_dir=PROJECT, options=worker_options))
        wait_until(lambda: sorted(counts(url, keys)) == [0, SOCKETS], "two leases", 60, server)
        command = [BIN / "towpath", "rebalance", "--redis", url, *options]
        done = subprocess.run(command, env=environment({}), capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("60, 0 (mean 30, at most 40)\n")
        for socket in sockets:
            socket.send("who?")
        owners = [str(socket.recv(timeout=20)).split()[1] for socket in sockets]
        assert len({*owners}) == 2
        assert max(owners.count(owner) for owner in {*owners}) <= 40
