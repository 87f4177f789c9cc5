"""A WebSocket over a stream that is no socket, as within a connection of HTTP/2 (RFC 8441). All of it is real, but for the network."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from channel_layer.protocol.events import Event
from interface_server.groups.interfaces import PushedMessage
from interface_server.http.server_context import ServerContext
from interface_server.protocol_factory import ProtocolFactory
from interface_server.settings import InterfaceSettings
from interface_server.websocket.connection import upgrade
from tests.support.memory_stream import MemoryStream
from tests.support.websocket_server import ACCEPT, Downstream, ScriptedBackend, client_frame

TEXT, BINARY, CLOSE, PING = 1, 2, 8, 9
QUIET = InterfaceSettings(access_log=False, ws_ping_interval_s=0, ws_close_timeout_s=5, write_timeout_s=60)
KEY = b"dGhlIHNhbXBsZSBub25jZQ=="


class Stage:
    """One WebSocket over a `MemoryStream`, and the time that its deadlines see."""

    def __init__(self, settings: InterfaceSettings = QUIET, behind: bytes = b"", version: bytes = b"13") -> None:
        self.backend = ScriptedBackend()
        self.context = ServerContext.of(settings, self.backend, asyncio.get_running_loop(), Counter())
        self.registry = ProtocolFactory(self.context).websockets
        self.stream = MemoryStream()
        scope: Event = {
            "type": "websocket",
            "path": "/chat",
            "raw_path": b"/chat",
            "root_path": "",
            "query_string": b"",
            "client": None,
            "headers": [(b"sec-websocket-version", version), (b"sec-websocket-key", KEY)],
        }
        upgrade(self.stream, scope, behind, self.registry)

    async def line(self, accept: bool = True) -> Downstream:
        line = await self.backend.next()
        if accept:
            line.say(ACCEPT)
            assert self.stream.take().startswith(b"HTTP/1.1 101 ")
        return line

    def tick(self, later_s: float) -> None:
        """All deadlines are looked at, so much later."""
        now = asyncio.get_running_loop().time() + later_s
        self.context.now = now
        self.registry.timeouts.check(now)
        self.context.write_timeouts.check(now)
        self.context.slow.check(now)


async def test_messages_and_closes_pass_in_both_directions() -> None:
    """P1. What came behind the head is a message too."""
    stage = Stage(behind=client_frame(TEXT, b"early"))
    line = await stage.line()
    assert await line.heard() == {"type": "websocket.receive", "text": "early"}
    stage.stream.arrive(client_frame(BINARY, b"in") + client_frame(PING, b"there?"))
    assert await line.heard() == {"type": "websocket.receive", "bytes": b"in"}
    assert stage.stream.take() == b"\x8a\x06there?"
    line.say({"type": "websocket.send", "text": "out"})
    line.client.push(PushedMessage({"type": "websocket.send", "text": "pushed"}))
    assert stage.stream.take() == b"\x81\x03out\x81\x06pushed"
    stage.stream.arrive(client_frame(CLOSE, b"\x03\xe8bye"))
    assert await line.left() == (1000, "bye")
    assert stage.stream.take() == b"\x88\x02\x03\xe8"
    assert stage.stream.lost and stage.context.under_way == 0 and not stage.registry.alive


async def test_a_bad_handshake_is_refused_and_our_direction_is_closed() -> None:
    """P12."""
    stage = Stage(version=b"8")
    assert stage.stream.take().startswith(b"HTTP/1.1 426 ") and stage.stream.eof and not stage.stream.lost
    stage.stream.leave()
    assert stage.context.under_way == 0 and stage.backend.count == 0


async def test_a_full_buffer_holds_credit_back_and_an_application_without_room_stops_the_stream() -> None:
    """P5."""
    stage = Stage()
    line = await stage.line()
    credited = line.delivered_bytes
    for _ in range(2):
        line.say({"type": "websocket.send", "bytes": bytes(50_000)})
    assert line.delivered_bytes == credited + 50_064
    stage.stream.take()
    assert line.delivered_bytes == credited + 2 * 50_064
    line.has_credit = False
    stage.stream.arrive(client_frame(TEXT, b"the last that fits"))
    assert stage.stream.paused
    stage.stream.arrive(client_frame(TEXT, b"waits"))
    assert line.unread.qsize() == 1
    line.has_credit = True
    line.client.resume()
    assert line.unread.qsize() == 2 and not stage.stream.paused


async def test_a_peer_that_takes_nothing_is_closed_as_slow_and_then_cut_off() -> None:
    """P5. The watches of slow clients and of write timeouts ask the stream, not a kernel."""
    stage = Stage()
    line = await stage.line()
    for _ in range(2):
        line.say({"type": "websocket.send", "bytes": bytes(50_000)})
    stage.tick(61)
    assert await line.left() == (1013, "slow")
    assert stage.context.counters["closed.stalled"] == 1 and not stage.stream.lost
    stage.tick(70)
    assert stage.stream.lost and stage.context.under_way == 0


async def test_a_peer_that_falls_behind_a_group_is_closed_as_slow() -> None:
    """P5."""
    stage = Stage(replace(QUIET, ws_push_bytes_max=2**20))
    line = await stage.line()
    while not line.gone.done():
        line.client.push(PushedMessage({"type": "websocket.send", "bytes": bytes(60_000)}))
    assert await line.left() == (1013, "slow") and stage.context.counters["closed.slow"] == 1


async def test_a_silent_peer_is_pinged_and_closed_and_one_that_left_unread_is_noticed() -> None:
    settings = replace(QUIET, ws_ping_interval_s=10, ws_ping_timeout_s=10)
    silent, unread = Stage(settings), Stage(settings)
    line, other = await silent.line(), await unread.line()
    silent.tick(11)
    assert silent.stream.take() == b"\x89\x00"
    silent.tick(30)
    assert await line.left() == (1006, "ping timeout")
    other.has_credit = False
    unread.stream.arrive(client_frame(TEXT, b"the last that fits"))
    unread.stream.leave()
    assert not unread.stream.lost
    unread.tick(11)
    assert await other.left() == (1006, "") and unread.stream.lost


@pytest.mark.parametrize("accepted", [False, True])
async def test_the_end_of_the_process_is_an_answer_that_fits_the_state(accepted: bool) -> None:
    """P7."""
    stage = Stage()
    line = await stage.line(accepted)
    stage.registry.close_all()
    answer = stage.stream.take()
    assert answer.startswith(b"\x88\x18\x03\xf4" if accepted else b"HTTP/1.1 503 ")
    assert await line.left() == ((1012, "the server is stopping") if accepted else (1006, ""))
