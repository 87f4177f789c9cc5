"""A message that reaches no socket is an error at its sender where that can know it, and a line in the log where only the far end can."""

from __future__ import annotations

import pytest

from channel_layer.errors import InvalidMessage
from channel_layer.protocol import packets
from channel_layer.protocol.codec import pack
from channel_layer.settings import RedisSettings
from tests.support.both_dispatchers import RecordedHost, adopted, interface, knock, worker
from tests.support.facts import until

OF_OTHERS = {"type": "chat_message", "text": "x"}
NONSENSE = (
    OF_OTHERS,
    {"type": "websocket.send", "text": {"a": 1}},
    {"type": "websocket.send"},
)
HELLO = {"type": "websocket.send", "text": "hello"}


async def test_a_message_that_no_socket_can_take_does_not_vanish(
    redis_settings: RedisSettings, caplog: pytest.LogCaptureFixture
) -> None:
    """P12. InvalidMessage at the sender; from elsewhere it is counted, and one line a minute names the group or the channel."""
    host = RecordedHost()
    async with interface(redis_settings) as server, worker(redis_settings, host) as dispatcher:
        client = knock(server, kind="websocket")
        (await adopted(host)).send({"type": "websocket.accept"})
        channel = client.upstream.channel
        await dispatcher.layer.group_add("chat", channel)
        for message in NONSENSE:
            if message is not OF_OTHERS:  # a member elsewhere may take that
                with pytest.raises(InvalidMessage):
                    await dispatcher.layer.group_send("chat", message)
            with pytest.raises(InvalidMessage):
                await dispatcher.layer.send(channel, message)
        assert dispatcher.node._commands.connection is not None
        for content in (*map(pack, NONSENSE), b"\xc1", b"\xc1"):
            await dispatcher.node._commands.connection.execute(
                "PUBLISH", dispatcher.node.context.keys.group("chat"), content
            )
        for message in NONSENSE:
            dispatcher.node.post(server.node.name, packets.send(client.upstream.connection.number, message))
        await dispatcher.layer.group_send("chat", HELLO)
        await until(lambda: client.pushed == [HELLO] and server.counters["dropped.push_invalid"] == 5)
        assert server.counters["dropped.push_not_for_clients"] == 1
        assert server.node.counters["packets.malformed_batch"] == 2
        told = [record.getMessage() for record in caplog.records if "dropped a message" in record.getMessage()]
        assert sorted(line.partition(":")[0] for line in told) == 3 * ["dropped a message to group chat"]
        assert server.counters["packets.malformed"] == 0


async def test_what_is_meant_for_an_application_and_comes_to_an_interface_server_harms_nobody(
    redis_settings: RedisSettings,
) -> None:
    """P12. There is no such channel here: a message is counted, and who wants to join or leave is told."""
    host = RecordedHost()
    async with interface(redis_settings) as server, worker(redis_settings, host) as dispatcher:
        client = knock(server, kind="websocket")
        (await adopted(host)).send({"type": "websocket.accept"})
        local = "specific.0123456789ab"
        await dispatcher.layer.group_add("chat", client.upstream.channel)
        await dispatcher.layer.group_add("chat", f"{server.node.name}!{local}")
        await dispatcher.layer.group_discard("chat", f"{server.node.name}!{local}")
        dispatcher.node.post(server.node.name, packets.message(local, HELLO, 60_000))
        await dispatcher.layer.group_send("chat", HELLO)
        await until(lambda: client.pushed == [HELLO] and server.counters["dropped.no_such_channel"] == 1)
        assert server.counters["packets.malformed"] == server.counters["packets.unknown_kind"] == 0
