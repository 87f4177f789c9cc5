"""Whether a worker takes new connections: by a table for each call that changes it."""

from __future__ import annotations

from collections import Counter

import pytest

from channel_layer.settings import RedisSettings
from tests.support.both_dispatchers import RecordedHost, adopted, interface, knock, worker
from tests.support.facts import until
from worker.connections.adoption import READ_MAX
from worker.connections.dispatcher import Dispatcher
from worker.connections.queue_consumer import AFTER_PAUSE, AFTER_RESUME, AFTER_STOP, Admission
from worker.settings import WorkerSettings

OPEN, PAUSED, DRAINING = Admission
CALLS = ("pause", "resume", "stop")
#: From each state, what the three calls lead to.
EXPECTED = {OPEN: (PAUSED, OPEN, DRAINING), PAUSED: (PAUSED, OPEN, DRAINING), DRAINING: (DRAINING,) * 3}


async def call(dispatcher: Dispatcher, name: str) -> None:
    if name == "stop":
        await dispatcher.stop_taking()
    else:
        dispatcher.pause(name == "pause")


def test_the_tables_have_each_state_and_a_drain_is_final() -> None:
    """No call brings a worker back that leaves."""
    for before, after in EXPECTED.items():
        assert (AFTER_PAUSE[before], AFTER_RESUME[before], AFTER_STOP[before]) == after
    assert set(AFTER_PAUSE) == set(AFTER_RESUME) == set(AFTER_STOP) == set(Admission)


@pytest.mark.parametrize("before", Admission)
@pytest.mark.parametrize("name", CALLS)
async def test_each_call_moves_by_its_table(redis_settings: RedisSettings, before: Admission, name: str) -> None:
    """P7. Also before the first channel is read: a supervisor may pause a worker that is starting."""
    dispatcher = Dispatcher(WorkerSettings(redis=redis_settings), RecordedHost(), Counter())
    await call(dispatcher, {OPEN: "resume", PAUSED: "pause", DRAINING: "stop"}[before])
    assert dispatcher.consumer.admission is before
    await call(dispatcher, name)
    assert dispatcher.consumer.admission is EXPECTED[before][CALLS.index(name)]


@pytest.mark.parametrize("sticky", ["off", "cookie"])
async def test_a_worker_reads_two_shared_channels_and_two_of_its_own_where_clients_stay(
    redis_settings: RedisSettings, sticky: str
) -> None:
    """P7. In a drain it reads what waits in its own channels, whatever is free, as no other worker can refuse that."""
    dispatcher = Dispatcher(WorkerSettings(redis=redis_settings, sticky=sticky), RecordedHost(slots=3), Counter())
    await dispatcher.start()
    try:
        consumer = dispatcher.consumer
        channels = {channel._channel: channel for channel in consumer._channels}
        names = ["http.request", "websocket.connect"]
        if sticky != "off":
            names = [name for each in names for name in (each, f"{each}@{dispatcher.node.name}")]
        assert list(channels) == names
        assert [channel.read_limit() for channel in channels.values()] == [3] * len(names)
        dispatcher.pause(True)
        assert [channel.read_limit() for channel in channels.values()] == [0] * len(names)
        await dispatcher.stop_taking()
        assert [channel.read_limit() for channel in channels.values()] == [READ_MAX] * len(names)
    finally:
        await dispatcher.close()


async def test_a_worker_leaves_connections_to_others_only_while_there_are_others(redis_settings: RedisSettings) -> None:
    """P6. What it has left to the last of them it takes itself, soon after that one has gone."""
    host, full = RecordedHost(), RecordedHost(slots=0)
    host.slots_with_peers = 0
    async with interface(redis_settings) as server, worker(redis_settings, host) as alone:
        knock(server)
        await adopted(host)
        requests = alone.consumer._channels[0]
        async with worker(redis_settings, full):
            await alone.node.check_peers()
            assert requests.read_limit() == 0
            await until(lambda: requests.reader is not None and not requests.reader._reading, "the last read to end")
            knock(server)
        await alone.node.check_peers()
        assert requests.read_limit() > 0
        await adopted(host, 2)
