"""A client that others wrote: the `websockets` library, with and without compression."""

from __future__ import annotations

import websockets
from websockets.typing import Subprotocol

from channel_layer.protocol.events import Event
from interface_server.groups.interfaces import PushedMessage
from interface_server.settings import InterfaceSettings
from tests.support.websocket_server import ACCEPT, Downstream, served

DEFLATE = InterfaceSettings(access_log=False, ws_per_message_deflate=True)


def accept(line: Downstream) -> None:
    line.say(ACCEPT)


async def test_compression_is_off_unless_it_is_asked_for() -> None:
    async with served(InterfaceSettings(access_log=False), accept) as server:
        async with websockets.connect(server.url) as client:
            assert client.protocol.extensions == []
            await client.send("plain")
            line = await server.backend.next()
            assert await line.heard() == {"type": "websocket.receive", "text": "plain"}


async def test_a_compressed_socket_speaks_in_both_directions_and_forgets_its_windows() -> None:
    async with served(DEFLATE, accept) as server, websockets.connect(server.url) as client:
        line = await server.backend.next()
        assert [extension.name for extension in client.protocol.extensions] == ["permessage-deflate"]
        for _ in range(3):
            await client.send("towpath " * 1000)
            assert (await line.heard())["text"] == "towpath " * 1000
            line.say({"type": "websocket.send", "bytes": b"barge " * 1000})
            assert await client.recv() == b"barge " * 1000
        deflate = line.client._reader._deflate
        assert deflate._compressor is None and deflate._decompressor is None


async def test_parts_and_pushes_are_compressed_too() -> None:
    """P1."""
    async with served(DEFLATE, accept) as server, websockets.connect(server.url) as client:
        line = await server.backend.next()
        events: list[Event] = [
            {"type": "websocket.send", "text": "long " * 500, "more_body": True},
            {"type": "websocket.send", "text": "story " * 500},
        ]
        line.say(events[0])
        line.client.push(PushedMessage({"type": "websocket.send", "text": "pushed"}))
        line.say(events[1])
        assert await client.recv() == "long " * 500 + "story " * 500
        assert await client.recv() == "pushed"
        line.client.push(PushedMessage({"type": "websocket.send", "text": "again"}))
        assert await client.recv() == "again"


async def test_a_small_frame_that_inflates_beyond_the_limit_is_1009() -> None:
    """P12, P5. The limit is that of what was inflated, and no more than it is ever inflated."""
    settings = InterfaceSettings(access_log=False, ws_per_message_deflate=True, ws_size_bytes_max=10_000)
    async with served(settings, accept) as server, websockets.connect(server.url) as client:
        line = await server.backend.next()
        await client.send("x" * 9_999)
        assert len((await line.heard())["text"]) == 9_999
        await client.send("x" * 1_000_000)
        assert (await line.left())[0] == 1009
        await client.wait_closed()
        assert client.close_code == 1009


async def test_closes_carry_code_and_reason_both_ways() -> None:
    async with served(DEFLATE, accept) as server:
        async with websockets.connect(server.url) as client:
            line = await server.backend.next()
            await client.close(4002, "genug")
            assert await line.left() == (4002, "genug")
        async with websockets.connect(server.url) as client:
            line = await server.backend.next()
            line.say({"type": "websocket.close", "code": 4003, "reason": "enough"})
            await client.wait_closed()
            assert (client.close_code, client.close_reason) == (4003, "enough")


async def test_subprotocols_are_negotiated_by_the_application() -> None:
    async with served(DEFLATE) as server:
        server.backend.on_open = lambda line: line.say({**ACCEPT, "subprotocol": line.scope["subprotocols"][1]})
        async with websockets.connect(server.url, subprotocols=[Subprotocol("a"), Subprotocol("b")]) as client:
            assert client.subprotocol == "b"
