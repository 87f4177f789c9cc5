"""P4: a full channel refuses the newest and keeps the oldest, and the client is told."""

from __future__ import annotations

from pathlib import Path

from tests.promises.conftest import PROJECT, Traces
from tests.promises.fleet import get, whole_answer
from tests.support.redis_look import queue_length
from tests.support.serving import towpath_interface, towpath_worker, wait_until


def test_a_full_channel_refuses_the_newest_and_keeps_the_oldest(tmp_path: Path, traces: Traces, url: str) -> None:
    """P4. Three places, five clients: two are told at once when to come again, three are served later."""
    with towpath_interface(url, run_dir=tmp_path / "interface", options=("--request-capacity", "3")) as interface:
        early = [interface.connect(timeout_s=40) for _ in range(3)]
        for number, client in enumerate(early):
            client.sendall(get(f"/early/{number}"))
        wait_until(lambda: queue_length(url) == 3, "three are queued", server=interface)
        for _ in range(2):
            with interface.connect() as late:
                late.sendall(get("/late"))
                answer = whole_answer(late)
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b"retry-after:" in answer.lower()
        with towpath_worker("witness", url, app_dir=PROJECT, run_dir=tmp_path / "worker", env=traces.env):
            for number, client in enumerate(early):
                assert whole_answer(client).endswith(b"/early/%d" % number)
                client.close()
    assert "/late" not in traces.starts("GET")
