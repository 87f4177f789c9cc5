"""What a group send costs Redis: one command, however many members the group has in however many connections of a process."""

from __future__ import annotations

import asyncio

from redis import Redis

import channel_layer
from channel_layer.settings import RedisSettings
from tests.support.both_dispatchers import Recorded, RecordedHost, adopted, interface, knock, worker
from tests.support.facts import until
from tests.support.redis_server import RedisServer

MEMBERS = 300
SENDS = 20


async def test_a_group_send_is_one_command_for_any_number_of_members(own_redis: RedisServer) -> None:
    """P10. Counted by Redis itself: one script a message, which publishes once, and nothing for a member."""
    settings, host = RedisSettings(url=own_redis.url), RecordedHost()
    async with interface(settings) as server, worker(settings, host) as dispatcher:
        clients = [knock(server, kind="websocket") for _ in range(MEMBERS)]
        await adopted(host, MEMBERS)
        for instance in host.instances:
            instance.send({"type": "websocket.accept"})
        layer = dispatcher.layer
        await asyncio.gather(*(layer.group_add("chat", client.upstream.channel) for client in clients))
        await layer.group_send("chat", {"type": "websocket.send", "text": "the script is known now"})
        await until(lambda: received(clients, 1))
        with own_redis.client() as redis, redis.monitor() as monitor:
            for number in range(SENDS):
                await layer.group_send("chat", {"type": "websocket.send", "text": str(number)})
            await until(lambda: received(clients, 1 + SENDS))
            commands = commands_about(redis, monitor, "chat")
        assert [client.pushed[-1]["text"] for client in clients] == MEMBERS * [str(SENDS - 1)]
    from_clients = [command for kind, command in commands if kind != "lua"]
    within_scripts = [command for kind, command in commands if kind == "lua"]
    assert from_clients == SENDS * ["EVALSHA"]
    assert within_scripts == SENDS * ["EXISTS", "PEXPIRE", "INCRBY", "PUBLISH"]


async def test_each_shared_channel_of_a_group_costs_one_command_more(own_redis: RedisServer) -> None:
    """P10. Beside one for all members of processes: the send script, as a send to that channel runs it."""
    layer = await channel_layer.connect(own_redis.url)
    own = await layer.new_channel()
    for channel in (own, "chat.one", "chat.two"):
        await layer.group_add("chat", channel)
    await layer.group_send("chat", {"type": "note", "text": "the scripts are known now"})
    with own_redis.client() as redis, redis.monitor() as monitor:
        for number in range(SENDS):
            await layer.group_send("chat", {"type": "note", "text": str(number)})
        commands = commands_about(redis, monitor, "chat")
        statistics = [await layer.statistics(channel) for channel in (own, "chat.one", "chat.two")]
    await layer.close()
    assert [each["messages_pending"] for each in statistics] == 3 * [1 + SENDS]
    assert [command for kind, command in commands if kind != "lua"] == 3 * SENDS * ["EVALSHA"]
    assert [kind for kind, command in commands if command == "PUBLISH"] == SENDS * ["lua"]


def received(clients: list[Recorded], count: int) -> bool:
    return all(len(client.pushed) == count for client in clients)


def commands_about(redis: Redis, monitor: object, group: str) -> list[tuple[str, str]]:
    """Who sent it, and its name: of each command with the name of the group."""
    redis.echo("the end")
    found = []
    for line in monitor.listen():  # type: ignore[attr-defined]
        name, _, rest = line["command"].partition(" ")
        if name == "ECHO":
            return found
        if f":{group}" in rest:
            found.append((line["client_type"], name.upper()))
    raise AssertionError("the monitor ended")
