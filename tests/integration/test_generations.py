"""Who takes new WebSockets while workers of two generations are there. P7."""

from __future__ import annotations

from dataclasses import replace

from channel_layer.settings import RedisSettings
from tests.support.both_dispatchers import RecordedHost, interface, knock, worker
from tests.support.facts import until
from worker.connections.invitations import QUOTA_MAX


def of_generation(redis_settings: RedisSettings, number: int) -> RedisSettings:
    return replace(redis_settings, generation=f"fleet/{number}")


async def test_a_newer_generation_takes_all_new_websockets_and_any_takes_requests(
    redis_settings: RedisSettings,
) -> None:
    """P7. What lasts goes to those who stay; what is short goes to whoever is free."""
    old, new = RecordedHost(), RecordedHost()
    async with (
        interface(redis_settings) as server,
        worker(of_generation(redis_settings, 1), old) as older,
        worker(of_generation(redis_settings, 2), new),
    ):
        await until(lambda: older.node.yields_to_newer, "the news")
        sockets = [knock(server, kind="websocket") for _ in range(40)]
        await until(lambda: all(client.adoptions for client in sockets))
        assert len(new.instances) == 40
        requests = [knock(server) for _ in range(3 * QUOTA_MAX)]  # the newer worker invites so many, the older none
        await until(lambda: len(old.instances) + len(new.instances) == len(sockets) + len(requests))
        assert old.instances and server.direct.count >= QUOTA_MAX
        for client in [*sockets, *requests]:
            client.upstream.leave()
        await until(lambda: not older.downstreams and all(run.disconnects for run in new.instances))


async def test_what_a_newer_generation_does_not_take_waits_a_few_seconds_only(redis_settings: RedisSettings) -> None:
    """P9's small sister: nobody waits because everybody declines. Here the newer worker has no free capacity."""
    old = RecordedHost()
    async with (
        interface(redis_settings) as server,
        worker(of_generation(redis_settings, 1), old) as older,
        worker(of_generation(redis_settings, 2), RecordedHost(slots=0)),
    ):
        await until(lambda: older.node.yields_to_newer, "the news")
        sockets = [knock(server, kind="websocket") for _ in range(40)]
        await until(lambda: all(client.adoptions for client in sockets), "adopted", 6.0)
        assert len(old.instances) == 40
        for client in sockets:
            client.upstream.leave()
        await until(lambda: not older.downstreams)
