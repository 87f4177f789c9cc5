"""A client that closes between two owners has the rest of its messages delivered, and is not kept for ever."""

from __future__ import annotations

from channel_layer.protocol.events import payload_size_bytes
from channel_layer.settings import RedisSettings
from tests.support.both_dispatchers import RecordedHost, adopted, interface, knock, worker
from tests.support.facts import until


async def test_an_instance_that_never_accepts_learns_all_the_same_that_its_client_has_gone(
    redis_settings: RedisSettings,
) -> None:
    """P7, P8. With a client that is there its answer would be late, or its end be heard; here there is nobody but us."""
    host = RecordedHost()
    async with (
        interface(redis_settings, ws_accept_timeout_s=0.5) as server,
        worker(redis_settings, host) as owner,
    ):
        client = knock(server, kind="websocket")
        first = await adopted(host)
        first.send({"type": "websocket.accept", "resumable": True})
        await until(lambda: client.events)
        await owner.stop_taking()
        first.downstream.hand_off()
        await until(lambda: client.upstream.connection.owner is None, "between two owners")
        last_word = {"type": "websocket.receive", "text": "goodbye"}
        client.upstream.forward(last_word, payload_size_bytes(last_word))
        client.upstream.leave(1000, "done")
        async with worker(redis_settings, host):
            second = await adopted(host, 2)
            await until(lambda: second.disconnects, "disconnected", 5.0)
        assert (second.fed, second.disconnects) == ([last_word], [(1000, "done")])
        assert server.connection_count == 0
