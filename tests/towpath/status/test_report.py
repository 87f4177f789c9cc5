"""Which processes are alive, and what waits."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os

import msgpack

from channel_layer.process.local_process import identity
from channel_layer.protocol.keys import GROUP, HTTP_CHANNEL, Keys
from tests.support.redis_server import RedisServer
from towpath.status.lease_reader import LeaseReader
from towpath.status.redis_status import RedisStatus
from towpath.status.report import Queue, Status, as_json, as_table

LEASE = {"node": "worker.a", "role": "worker", "pid": 7, "started": 90.0, "free": {"http": 3}, "taken_total": 100}
NOW = Status((LEASE,), (Queue("http.request", 2, 1.25, 3),), 100.0)


def test_people_read_a_table_with_whatever_a_lease_says() -> None:
    """Figures within figures have columns of their own; the start is told as an age."""
    table = as_table(NOW).splitlines()
    assert table[0].split() == ["role", "node", "pid", "up", "free", "http", "taken_total"]
    assert table[1].split() == ["worker", "worker.a", "7", "10", "s", "3", "100"]
    assert table[-1].split() == ["http.request", "2", "1.2", "s", "3", "-"]


def test_how_long_a_process_runs_is_told_by_its_own_clock() -> None:
    """Its host's may be an hour off that of Redis; one that does not say it is shown by the moment of its start."""
    skewed = {**LEASE, "started": 3690.0, "up_s": 12.3}
    assert as_table(Status((skewed,), NOW.queues, 100.0)).splitlines()[1].split()[3:5] == ["12", "s"]


def test_by_what_processes_know_one_another_is_for_programs() -> None:
    """A boot id and clock ticks are no news to a person; `--json` has them."""
    lease = {**LEASE, "machine": "0f3a", "born": "12345"}
    status = Status((lease,), NOW.queues, NOW.now_s)
    assert as_table(status) == as_table(NOW)
    assert json.loads(as_json(status))["processes"] == [lease]


def test_the_channel_of_dead_letters_is_marked() -> None:
    status = Status((LEASE,), (Queue("dead", 1, 0.0, 0, dead_letter=True),))
    assert as_table(status).splitlines()[-1].split() == ["dead", "1", "0.0", "s", "0", "yes"]


def test_a_second_look_shows_rates() -> None:
    """Of what only grows."""
    later = Status(({**LEASE, "taken_total": 150},), NOW.queues, 102.0)
    table = as_table(later, NOW, 2.0).splitlines()
    assert table[0].endswith("taken/s") and table[1].endswith("25")


def test_programs_read_json() -> None:
    """As the leases say it."""
    assert json.loads(as_json(NOW)) == {
        "processes": [LEASE],
        "queues": [{"channel": "http.request", "depth": 2, "age_s": 1.25, "receivers": 3, "dead_letter": False}],
    }


def test_who_is_missing_is_said() -> None:
    """The table shows the processes that are there; more than were asked for are successors."""
    short = Status((LEASE,), NOW.queues, 100.0, {"worker": 3, "interface": 1})
    table = as_table(short).splitlines()
    assert [line.partition(";")[0] for line in table if line.startswith("MISSING")] == [
        "MISSING: 1 of 1 interfaces",
        "MISSING: 2 of 3 workers",
    ]
    assert json.loads(as_json(short))["wanted"] == {"worker": 3, "interface": 1}
    assert "MISSING" not in as_table(dataclasses.replace(short, wanted={"worker": 1}))


def test_an_empty_canal_is_said_to_be_empty() -> None:
    """Rather than shown as an empty table."""
    assert as_table(Status((), ())).startswith("no process is alive")


def test_only_processes_whose_lease_still_stands_are_shown(redis_server: RedisServer, prefix: str) -> None:
    """The index may name a process that has died; its lease is the truth. One that speaks otherwise is shown by its name."""
    keys, client = Keys(prefix), redis_server.client()
    client.zadd(keys.nodes, {"worker.a": 1, "worker.dead": 1, "odd.b": 1})
    client.set(keys.lease("worker.a"), msgpack.packb({"role": "worker", "pid": 7}))
    client.set(keys.lease("odd.b"), b"\xc1")
    client.xadd(keys.channel(HTTP_CHANNEL), {"b": "1"})
    redis_status = RedisStatus(redis_server.url, prefix)
    status = redis_status.read()
    assert sorted(status.processes, key=lambda lease: str(lease["node"])) == [
        {"node": "odd.b"},
        {"node": "worker.a", "role": "worker", "pid": 7},
    ]
    assert [(queue.channel, queue.depth) for queue in status.queues] == [("http.request", 1), ("websocket.connect", 0)]
    redis_status.close()


def test_processes_of_other_machines_are_not_taken_for_ours(redis_server: RedisServer, prefix: str) -> None:
    """Two machines on one Redis have the same numbers: `serve` would think a worker ready that is not."""
    keys, client = Keys(prefix), redis_server.client()
    client.zadd(keys.nodes, {"worker.here": 1, "worker.there": 1})
    client.set(keys.lease("worker.here"), msgpack.packb({"role": "worker", **identity()}))
    client.set(keys.lease("worker.there"), msgpack.packb({"role": "worker", "machine": "another", "pid": 7}))
    with contextlib.closing(LeaseReader(redis_server.url, prefix)) as reader:
        assert reader.ready_pids() == {os.getpid()}


def test_what_others_write_into_the_index_harms_no_look(redis_server: RedisServer, prefix: str) -> None:
    """P12. A `serve` looks all the while: a name that is no text, or a number that is none, must not end it."""
    keys, client = Keys(prefix), redis_server.client()
    client.zadd(keys.nodes, {b"\xff\xfe": 1, "worker.odd": 1, "worker.here": 1})
    client.set(keys.lease("worker.here"), msgpack.packb({"role": "worker", **identity()}))
    odd = {"role": "worker", **identity(), "pid": "seven", "counters": ["many"]}
    client.set(keys.lease("worker.odd"), msgpack.packb(odd))
    with contextlib.closing(LeaseReader(redis_server.url, prefix)) as reader:
        assert reader.ready_pids() == {os.getpid()}
    redis_status = RedisStatus(redis_server.url, prefix)
    assert len(redis_status.read().processes) == 2
    assert "seven" in as_table(redis_status.read())
    redis_status.close()


def test_the_processes_that_receive_from_a_channel_are_counted(redis_server: RedisServer, prefix: str) -> None:
    """A channel in which messages wait that nobody receives is told from one whose receiver is slow."""
    keys, client = Keys(prefix), redis_server.client()
    client.zadd(keys.nodes, {"worker.a": 1, "layer.b": 1})
    lease = {"role": "background", "channels": "thumbnails", "dead_letter": "dead"}
    client.set(keys.lease("worker.a"), msgpack.packb(lease))
    client.set(keys.lease("layer.b"), msgpack.packb({"role": "layer"}))
    for name in ("work", "forgotten"):
        client.xadd(keys.channel(name), {"b": "1"})
        client.zadd(keys.shared_channels, {name: 1})
    client.xgroup_create(keys.channel("work"), GROUP, "0")
    client.xreadgroup(GROUP, "layer.b", {keys.channel("work"): ">"})
    redis_status = RedisStatus(redis_server.url, prefix)
    queues = {queue.channel: (queue.depth, queue.receivers, queue.dead_letter) for queue in redis_status.read().queues}
    redis_status.close()
    assert queues == {
        "http.request": (0, 0, False),
        "websocket.connect": (0, 0, False),
        "thumbnails": (0, 1, False),
        "dead": (0, 0, True),
        "work": (1, 1, False),
        "forgotten": (1, 0, False),
    }
