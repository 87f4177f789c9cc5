"""P10: groups at the edge, on real processes: event streams, bursts, slow members, members that come and go."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest
from redis import Redis
from websockets.sync.client import ClientConnection, connect

import channel_layer
from channel_layer.messaging.group_sequence import COUNTER_TTL_MS
from channel_layer.protocol.codec import pack
from channel_layer.protocol.keys import Keys
from channel_layer.redis.scripts import PUBLISH
from tests.promises.conftest import PROJECT
from tests.promises.fleet import leases_at
from tests.support.plain_http import PLAIN
from tests.support.serving import Server, redis_server, redis_url, towpath_interface, towpath_worker, wait_until

MEMBERS = 6


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield redis_url(server)


@pytest.fixture(scope="module")
def servers(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Server]]:
    """Two interface servers, and one worker."""
    folder = tmp_path_factory.mktemp("edge")
    with (
        towpath_interface(url, run_dir=folder / "one") as one,
        towpath_interface(url, run_dir=folder / "two") as two,
        towpath_worker("newsroom", url, app_dir=PROJECT, run_dir=folder / "worker"),
    ):
        yield one, two


class Stream:
    """A client of an event stream: a plain socket that reads events when it is asked to."""

    def __init__(self, server: Server, path: str) -> None:
        self.socket = server.connect(timeout_s=30)
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        self._buffer = b""
        self.head = self._until(b"\r\n\r\n")

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._buffer:
            part = self.socket.recv(1_048_576)
            if not part:
                raise EOFError(self._buffer)
            self._buffer += part
        found, _, self._buffer = self._buffer.partition(mark)
        return found

    def chunk(self) -> bytes:
        """The next chunk; empty: the response is whole."""
        size = int(self._until(b"\r\n"), 16)
        while len(self._buffer) < size + 2:
            self._buffer += self.socket.recv(1_048_576)
        found, self._buffer = self._buffer[:size], self._buffer[size + 2 :]
        return found

    def event(self) -> str:
        chunk = self.chunk()
        assert chunk.startswith(b"data: ") and chunk.endswith(b"\n\n"), chunk
        return chunk[6:-2].decode()


@contextlib.contextmanager
def streams(servers: tuple[Server, Server], path: str, names: list[str] | None = None) -> Iterator[list[Stream]]:
    """Clients that have joined, half of them at each interface server. names: gets their reply channels."""
    opened = [Stream(server, path) for server in servers for _ in range(MEMBERS // 2)]
    with contextlib.ExitStack() as stack:
        for each in opened:
            stack.callback(each.socket.close)
        found = [each.event() for each in opened]
        assert all(name.startswith("interface.") for name in found)
        if names is not None:
            names += found
        yield opened


@contextlib.contextmanager
def sockets(
    servers: tuple[Server, Server], path: str, names: list[str] | None = None
) -> Iterator[list[ClientConnection]]:
    """As `streams`."""
    with contextlib.ExitStack() as stack:
        opened = [
            stack.enter_context(connect(f"{server.websocket_url}{path}", max_size=None, ping_interval=None))
            for server in servers
            for _ in range(MEMBERS // 2)
        ]
        found = [str(each.recv(timeout=20)) for each in opened]
        assert all(name.startswith("interface.") for name in found)
        if names is not None:
            names += found
        yield opened


def post(server: Server, path: str) -> None:
    with httpx.Client(**PLAIN, timeout=60) as client:
        assert client.post(server.url + path).status_code == 204


def counted(url: str) -> Counter[str]:
    """The sums over all interface servers."""
    found: Counter[str] = Counter()
    for lease in leases_at(url):
        if lease["role"] == "interface":
            found.update(lease["counters"])
    return found


def test_a_group_of_event_streams_is_written_by_the_interface_servers_and_ended_by_them(
    servers: tuple[Server, Server],
) -> None:
    """P10. One publish a message, no worker's part in it; the last one ends each response in good order."""
    with streams(servers, "/streams") as opened:
        post(servers[0], "/count/streams/20")
        for each in opened:
            assert [each.event() for _ in range(20)] == [str(number) for number in range(20)]
        post(servers[0], "/end/streams")
        for each in opened:
            assert (each.event(), each.chunk()) == ("bye", b"")
            each.socket.sendall(b"GET /streams HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b" 200 OK" in each._until(b"\r\n\r\n")
            assert each.event().startswith("interface.")


def test_what_one_instance_sends_to_its_own_event_stream_keeps_its_order(servers: tuple[Server, Server]) -> None:
    """P1. By its events, by its reply channel, by a group; also what comes before the start, and what ends the response."""
    for _ in range(10):
        stream = Stream(servers[0], "/own")
        events = []
        while chunk := stream.chunk():
            events.append(chunk[6:-2].decode())
        assert events == [*map(str, range(events.index("bye"))), "bye"]
        assert len(events) == 63
        stream.socket.close()


def test_a_group_has_members_of_both_kinds_and_each_gets_what_is_for_it(
    servers: tuple[Server, Server], url: str
) -> None:
    """P10, P12. Neither a frame in an event stream nor a chunk in a WebSocket; what is for applications reaches neither."""
    with (
        streams(servers, "/streams.all") as listeners,
        sockets(servers, "/sockets.all") as members,
        Redis.from_url(url) as redis,
    ):
        for event in (
            {"type": "chat.message", "text": "for consumers"},
            {"type": "http.response.body", "body": b"data: events\n\n"},
            {"type": "websocket.send", "text": "messages"},
        ):
            redis.publish("towpath:group:0:all", pack(event))
        assert {each.event() for each in listeners} == {"events"}
        assert {each.recv(timeout=20) for each in members} == {"messages"}
        post(servers[0], "/count/streams/1")
        post(servers[0], "/count/sockets/1")
        assert {each.event() for each in listeners} == {"0"}
        assert {each.recv(timeout=20) for each in members} == {b"0"}
        wanted = {
            "dropped.push_not_for_clients": 2,  # once at each server
            "dropped.push_to_http": MEMBERS,
            "dropped.push_to_websocket": MEMBERS,
        }
        wait_until(lambda: wanted.items() <= counted(url).items(), "what reached no member is counted")


def test_whom_a_message_excludes_does_not_get_it(servers: tuple[Server, Server], url: str) -> None:
    """P10. The others do, without the list; a list that is none is dropped and counted."""
    names: list[str] = []
    with sockets(servers, "/sockets.all", names) as members, Redis.from_url(url) as redis:
        channels = [names[0], names[-1], "worker.000000000001!specific.0123456789ab", "nonsense"]
        excluding = {"type": "websocket.send", "text": "excluding", "towpath.exclude": channels}
        for exclude in ("everybody", ["a", 5], {}):
            redis.publish("towpath:group:0:all", pack({**excluding, "towpath.exclude": exclude}))
        for event in (excluding, {"type": "websocket.send", "text": "all"}):
            redis.publish("towpath:group:0:all", pack(event))
        for each, name in zip(members, names, strict=True):
            if name not in channels:
                assert each.recv(timeout=20) == "excluding"
            assert each.recv(timeout=20) == "all"
        wait_until(lambda: counted(url)["dropped.push_invalid"] == 6, "three are counted at each server")


async def test_any_process_sends_to_clients_and_leaves_some_out(servers: tuple[Server, Server], url: str) -> None:
    """P10, P12. What a client cannot take is an error here, and so is the second message to one that has left."""
    names: list[str] = []
    with streams(servers, "/streams.all", names) as listeners, sockets(servers, "/sockets.all", names) as members:
        layer = await channel_layer.connect(url)
        try:
            event = {"type": "http.response.body", "body": b"data: news\n\n"}
            await layer.group_send("all", event, exclude=[names[0], names[-1]])
            await layer.send(names[0], {**event, "body": b"data: yours\n\n"})
            await layer.group_send("all", {"type": "websocket.send", "text": "news"}, exclude=[names[0], names[-1]])
            await layer.send(names[-1], {"type": "websocket.send", "text": "yours"})
            assert [each.event() for each in listeners] == ["yours", *["news"] * (MEMBERS - 1)]
            assert [each.recv(timeout=20) for each in members] == [*["news"] * (MEMBERS - 1), "yours"]
            await layer.send(names[0], {**event, "more_body": False})
            assert (listeners[0].event(), listeners[0].chunk()) == ("news", b"")
            with pytest.raises(channel_layer.ChannelGone):
                async with asyncio.timeout(20):
                    while True:
                        await layer.send(names[0], event)
                        await asyncio.sleep(0.01)
            for wrong in ({"type": "chat.message"}, {**event, "body": "text"}):
                with pytest.raises(channel_layer.InvalidMessage):
                    await layer.send(names[1], wrong)
        finally:
            await layer.close()


@pytest.mark.parametrize(("count", "size"), [(12, 100_000), (3_000, 1_000), (105, 100_000)])
def test_a_burst_closes_no_member_that_reads(servers: tuple[Server, Server], count: int, size: int) -> None:
    """P5, P10. The last one is ten megabytes at once. The limit is about what a socket has refused, not about one turn of the loop."""
    with sockets(servers, "/sockets") as members, streams(servers, "/streams") as listeners:
        received: dict[int, int] = {}

        def read(number: int) -> None:
            received[number] = sum(len(members[number].recv(timeout=60)) for _ in range(count))

        def listen(number: int) -> None:
            received[-1 - number] = sum(len(listeners[number].event()) for _ in range(count))

        threads = [
            threading.Thread(target=what, args=(number,)) for what in (read, listen) for number in range(MEMBERS)
        ]
        for thread in threads:
            thread.start()
        post(servers[0], f"/burst/sockets/{count}/{size}")
        post(servers[0], f"/burst/streams/{count}/{size}")
        for thread in threads:
            thread.join()
        assert list(received.values()) == 2 * MEMBERS * [count * size]


def test_a_slow_member_delays_no_other(servers: tuple[Server, Server]) -> None:
    """P5, P10. Megabytes wait for it while the others get each message; and as it still has time, it gets them all too."""
    with sockets(servers, "/sockets") as members, streams(servers, "/streams.slow") as listeners:
        slow = connect(f"{servers[0].websocket_url}/sockets", max_size=None, max_queue=1, ping_interval=None)
        with slow:
            assert str(slow.recv(timeout=20)).startswith("interface.")
            for _ in range(13):
                post(servers[0], "/burst/sockets/10/100000")
                for each in members:
                    assert sum(len(each.recv(timeout=20)) for _ in range(10)) == 1_000_000
                post(servers[0], "/count/streams/1")
                assert {each.event() for each in listeners} == {"0"}
            assert sum(len(slow.recv(timeout=20)) for _ in range(130)) == 13_000_000


def test_who_is_a_member_all_the_time_misses_nothing_while_others_come_and_go(
    servers: tuple[Server, Server],
) -> None:
    """P10. Joins, leaves, and members whose sockets end, at both interface servers, while hundreds of messages are sent."""
    over = threading.Event()
    visits: list[int] = []
    faults: list[str] = []

    def come_and_go(server: Server, leaves: bool) -> None:
        try:
            while not over.is_set():
                with connect(f"{server.websocket_url}/sockets.passing", ping_interval=None) as visitor:
                    while not (name := str(visitor.recv(timeout=20))).startswith("interface."):
                        pass  # what was sent to the group meanwhile
                    if leaves:
                        post(server, f"/kick/sockets/{name}")
                        post(server, f"/kick/passing/{name}")
                visits.append(1)
        except Exception as error:
            faults.append(repr(error))

    visitors = [
        threading.Thread(target=come_and_go, args=(server, leaves)) for server in servers for leaves in (True, False)
    ]
    with sockets(servers, "/sockets") as members:
        for visitor in visitors:
            visitor.start()
        try:
            rounds = 0
            while not faults and (rounds < 3 or len(visits) < 20):
                rounds += 1
                post(servers[0], "/count/sockets/100")
                for each in members:
                    got = [each.recv(timeout=30) for _ in range(100)]
                    assert got == [str(number).encode() for number in range(100)]
        finally:
            over.set()
            for visitor in visitors:
                visitor.join()
    assert not faults


def test_clients_that_asked_are_told_of_messages_that_were_lost_on_the_way_to_them(
    servers: tuple[Server, Server], url: str
) -> None:
    """P10. Redis ends the subscriptions and publishes in one step. A socket gets its message, a stream ends, and comes back."""
    names: list[str] = []
    with (
        sockets(servers, "/sockets", names) as members,
        streams(servers, "/streams", names) as listeners,
        channel_layer.connect_blocking(url) as layer,
        Redis.from_url(url) as redis,
    ):
        for name in names[:MEMBERS]:
            layer.group_add("all", name, report_missed={"type": "websocket.send", "text": "reload"})
        for name in names[MEMBERS:]:
            end = {"type": "http.response.body", "body": b"data: reload\n\n", "more_body": False}
            layer.group_add("all", name, report_missed=end)
        keys = Keys("towpath:")
        at = (keys.group_sequence("all"), keys.group_channels("all"), keys.group("all"))
        lost = pack({"type": "websocket.send", "text": "lost"})
        with redis.pipeline(transaction=True) as pipeline:
            pipeline.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
            pipeline.eval(PUBLISH.text, 2, *at, lost, COUNTER_TTL_MS)
            pipeline.execute()
        assert [member.recv(timeout=30) for member in members] == MEMBERS * ["reload"]
        assert [(each.event(), each.chunk()) for each in listeners] == MEMBERS * [("reload", b"")]
        layer.group_send("all", {"type": "websocket.send", "text": "next"})
        assert [member.recv(timeout=30) for member in members] == MEMBERS * ["next"]
