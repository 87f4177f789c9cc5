"""What a drain closes: over a real Redis, with clients and applications that the test plays."""

from __future__ import annotations

from channel_layer.settings import RedisSettings
from tests.support.both_dispatchers import RecordedHost, RecordedInstance, adopted, interface, knock, worker
from worker.lifecycle.drain import websockets


class Nameless(RecordedInstance):
    """An instance without a text for the log."""

    @property
    def request(self) -> str:
        return ""


async def test_websockets_are_known_by_their_kind_and_not_by_a_text_for_the_log(redis_settings: RedisSettings) -> None:
    """P7. A request has the whole time of a drain; only WebSockets are closed near its end."""
    host = RecordedHost()
    async with interface(redis_settings) as server, worker(redis_settings, host) as dispatcher:
        for kind in ("http", "websocket"):
            knock(server, kind=kind)
        await adopted(host, 2)
        for run in host.instances:
            downstream = dispatcher.registry.by_key[run.downstream.key]
            downstream.instance = Nameless(run.scope, b"", False, run.downstream)
        kinds = [each.instance.kind for each in websockets(dispatcher.downstreams) if each.instance is not None]
        assert kinds == ["websocket"]
