"""P7: workers that are added get their part of the sockets that are open, and no client notices."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from pathlib import Path

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as connect_async
from websockets.sync.client import connect

from tests.promises.conftest import PROJECT
from tests.promises.fleet import towpath
from tests.support.facts import until
from tests.support.serving import Server, towpath_serve, wait_until
from worker.placement.placement import bound_of

PLAIN_ECHO = """
async def application(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": event["text"]})
"""
SOCKETS = 150
WORKERS = 3


def test_workers_that_are_added_are_handed_sockets_until_none_has_too_many(tmp_path: Path) -> None:
    """P7. By itself: 150 sockets on one worker; with three the bound is 62."""
    with towpath_serve("owner_count", app_dir=PROJECT, run_dir=tmp_path) as server, contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(connect(server.websocket_url)) for _ in range(SOCKETS)]

        def owners() -> Counter[str]:
            for socket in sockets:
                socket.send("who?")
            return Counter(socket.recv(timeout=20).split()[1] for socket in sockets)

        assert list(owners().values()) == [SOCKETS]
        towpath(server, "scale", f"worker={WORKERS}").check_returncode()
        server.wait_for_log("to workers that have fewer")
        bound = bound_of(SOCKETS / WORKERS)
        wait_until(lambda: max(owners().values()) <= bound, "no worker has too many", 60.0, server=server)
        assert len(owners()) == WORKERS


class Talk:
    """Clients that say something each second, and get each of it back, in order, with the number that the application counts."""

    def __init__(self, server: Server, count: int) -> None:
        self._server = server
        self.owners: list[str] = [""] * count  #: by the number of the client: the process that answered last
        self.turns = [0] * count
        self.failure = ""
        self.over = asyncio.Event()

    async def run(self) -> None:
        """Until `over` is set."""
        async with asyncio.TaskGroup() as group:
            for number in range(len(self.owners)):
                group.create_task(self._client(number))

    async def _client(self, number: int) -> None:
        try:
            async with connect_async(self._server.websocket_url, ping_interval=None, open_timeout=60) as client:
                while not self.over.is_set():
                    await self._turn(client, number)
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self.over.wait(), 1.0)
        except Exception as error:
            self.failure = self.failure or f"client {number}: {error!r}"
            self.over.set()

    async def _turn(self, client: ClientConnection, number: int) -> None:
        turn = self.turns[number] + 1
        await client.send(f"{number}.{turn}")
        text, count, owner = str(await asyncio.wait_for(client.recv(), 10.0)).split()
        assert (text, count) == (f"{number}.{turn}", str(turn))
        self.turns[number], self.owners[number] = turn, owner


async def until_each_has_spoken(talk: Talk) -> None:
    """Wait until each client has had an answer to what it says from now on."""
    before = list(talk.turns)
    await until(
        lambda: talk.failure or all(now > then + 1 for now, then in zip(talk.turns, before, strict=True)),
        "an answer to each client",
        60,
    )
    assert not talk.failure


async def test_after_a_scaling_rebalance_levels_400_sockets_and_no_client_notices(
    tmp_path: Path,
) -> None:
    """P7. 400 sockets on one worker, four workers: none has more than 125, and each client goes on talking all along.

    benchmarks/NOTES.md has how long it took.
    """
    options = ("--rebalance-rate", "0", "--workers-max", "4")
    with towpath_serve("resumable_echo", app_dir=PROJECT, run_dir=tmp_path, options=options) as server:
        talk = Talk(server, 400)
        talking = asyncio.create_task(talk.run())
        await until_each_has_spoken(talk)
        (first,) = Counter(talk.owners)
        scaled = await asyncio.to_thread(towpath, server, "scale", "worker=4")
        assert scaled.returncode == 0, scaled.stderr
        await until_each_has_spoken(talk)
        assert set(talk.owners) == {first}, "without a rate of its own a worker keeps what it has"
        levelled = await asyncio.to_thread(towpath, server, "rebalance")
        assert levelled.returncode == 0, levelled.stderr
        await until_each_has_spoken(talk)
        talk.over.set()
        await talking
        assert not talk.failure
        counts = sorted(Counter(talk.owners).values(), reverse=True)
        assert len(counts) == 4
        assert counts[0] <= 125
        assert levelled.stdout.startswith("400, 0, 0, 0 (mean 100, at most 125)\n")
        assert levelled.stdout.splitlines()[-1].startswith("WebSockets by worker: ")


def test_rebalance_says_why_it_cannot_and_closes_no_socket(tmp_path: Path) -> None:
    """P7. Sockets that are not resumable stay where they are."""
    (tmp_path / "plain_echo.py").write_text(PLAIN_ECHO)
    with towpath_serve("plain_echo", app_dir=tmp_path, run_dir=tmp_path) as server, contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(connect(server.websocket_url)) for _ in range(40)]
        towpath(server, "scale", "worker=2").check_returncode()
        refused = towpath(server, "rebalance")
        assert refused.returncode == 1
        assert "keeps 40: " in refused.stderr
        assert "not resumable" in refused.stderr
        for socket in sockets:
            socket.send("still here")
            assert "still here" in str(socket.recv(timeout=20))
