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
from towpath.overview.findings import Finding, Severity, findings
from towpath.overview.rates import rates
from towpath.overview.report import as_json, as_page_json, as_table
from towpath.status.lease_reader import LeaseReader
from towpath.status.redis_status import RedisStatus
from towpath.status.state import Queue, RedisState, Status

LEASE = {"node": "worker.a", "role": "worker", "pid": 7, "started": 90.0, "free": {"http": 3}, "taken_total": 100}
NOW = Status((LEASE,), (Queue("http.request", 2, 1.25, 3),), 100.0)


def test_people_read_a_table_with_whatever_a_lease_says() -> None:
    """Figures within figures have columns of their own; the start is told as an age."""
    table = as_table(NOW).splitlines()
    assert table[0].split() == ["role", "free", "http", "up", "pid", "node", "taken_total"]
    assert table[1].split() == ["worker", "3", "10", "s", "7", "worker.a", "100"]
    assert table[-1].split() == ["http.request", "2", "1.2", "s", "3", "-"]


def test_how_long_a_process_runs_is_told_by_its_own_clock() -> None:
    """Its host's may be an hour off that of Redis; one that does not say it is shown by the moment of its start."""
    skewed = {**LEASE, "started": 3690.0, "up_s": 12.3}
    assert as_table(Status((skewed,), NOW.queues, 100.0)).splitlines()[1].split()[2:4] == ["12", "s"]


def test_a_column_that_tells_nothing_is_left_out() -> None:
    """0 or nothing in every row; and what all have in common. No free place is news."""
    lease = {"role": "worker", "host": "one", "version": 1, "streams": 0, "connections": 0, "free": {"http": 0}}
    two = ({**lease, "node": "worker.a"}, {**lease, "node": "worker.b"})
    assert as_table(Status(two, ())).splitlines()[0].split() == ["role", "state", "connections", "free", "http", "node"]
    other = ({**lease, "node": "worker.a"}, {**lease, "node": "worker.b", "host": "two", "streams": 1})
    assert as_table(Status(other, ())).splitlines()[0].split()[-3:] == ["streams", "node", "host"]


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
    table = as_table(later, rates(NOW, later, 2.0)).splitlines()
    assert table[0].split()[3] == "taken/s" and table[1].split()[2] == "25"
    (lease,) = json.loads(as_json(later, rates(NOW, later, 2.0)))["processes"]
    assert lease["rates"] == {"taken_per_s": 25.0}


def test_a_channel_has_a_rate_too() -> None:
    """Where Redis counts what is added."""
    before, later = (Status((LEASE,), (Queue("http.request", 2, 1.0, 3, added_total=n),)) for n in (10, 16))
    table = as_table(later, rates(before, later, 2.0)).splitlines()
    assert table[-2].split()[4:] == ["depth", "oldest", "added/s", "receivers", "dead", "letters"]
    assert table[-1].split() == ["http.request", "2", "1.0", "s", "3", "3", "-"]
    shown = json.loads(as_json(later, rates(before, later, 2.0)))
    assert shown["queues"][0]["added_per_s"] == 3.0


def test_programs_read_json() -> None:
    """As the leases say it."""
    assert json.loads(as_json(NOW)) == {
        "findings": [],
        "processes": [LEASE],
        "queues": [{"channel": "http.request", "depth": 2, "age_s": 1.25, "receivers": 3, "dead_letter": False}],
        "redis": dataclasses.asdict(RedisState()),
    }


def test_what_is_not_seen_is_written_out_for_people() -> None:
    """P12. Wherever a lease or a channel has it, in a value or in the name of a field; programs get what was written."""
    turned, seen = "a\u202eb\x1b[2J", r"a\u202eb\x1b[2J"
    lease = {"node": turned, "role": "worker", "app": turned, turned: {turned: 1}, "counters": {turned: 2}}
    status = Status((lease,), (Queue(turned, 1, 0.0, 0),), 100.0)
    found = (Finding(Severity.ERROR, turned, turned),)
    table, page = as_table(status, findings=found), as_page_json(status, findings=found)
    assert all(line.isprintable() for line in table.splitlines()) and table.count(seen) == 8
    (process,) = json.loads(page)["processes"]
    assert process == {"node": seen, "role": "worker", "app": seen, seen: {seen: 1}, "counters": {seen: 2}}
    assert (json.loads(page)["queues"][0]["channel"], json.loads(page)["findings"][0]["sentence"]) == (seen, seen)
    assert json.loads(as_json(status))["processes"] == [lease]
    assert as_page_json(NOW) == as_json(NOW)


def test_what_is_wrong_comes_first() -> None:
    """With its remedy below; programs get it as `findings`."""
    found = (Finding(Severity.ERROR, "no worker", "start one"), Finding(Severity.WARNING, "it is slow", "look"))
    lines = as_table(NOW, findings=found).splitlines()
    assert lines[:5] == ["ERROR:   no worker", "         start one", "WARNING: it is slow", "         look", ""]
    assert lines[5:] == as_table(NOW).splitlines()
    shown = json.loads(as_json(NOW, findings=found))["findings"]
    assert shown[0] == {"severity": "error", "sentence": "no worker", "remedy": "start one"}


def test_marks_stand_for_the_figures_that_they_come_from() -> None:
    """In one column, where there are any; programs have both."""
    slow = {**LEASE, "lag_ms": 80.0, "draining": False, "gives_way": True, "blocked_s": 0.0}
    status = Status((slow,), NOW.queues, NOW.now_s)
    table = as_table(status).splitlines()
    assert table[0].split() == ["role", "state", "free", "http", "lag_ms", "up", "pid", "node", "taken_total"]
    assert "gives way, slow 80 ms" in table[1]
    assert json.loads(as_json(status))["processes"] == [{**slow, "marks": ["gives way", "slow 80 ms"]}]


def test_the_number_of_processes_that_serve_wants_is_for_programs_too() -> None:
    assert json.loads(as_json(dataclasses.replace(NOW, wanted={"worker": 3})))["wanted"] == {"worker": 3}


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


def test_whether_redis_takes_writes_is_found_without_writing(prefix: str) -> None:
    """A full server refuses even a write that would change nothing, and says why."""
    server = RedisServer(("--maxmemory", "100mb")).start()
    with contextlib.ExitStack() as stack:
        stack.callback(server.stop)
        redis_status = RedisStatus(server.url, prefix)
        stack.callback(redis_status.close)
        well = redis_status.read()
        server.client().config_set("maxmemory", 1_000)
        full = redis_status.read()
        assert server.client().dbsize() == 0
    assert (well.redis.refusal, well.redis.memory_bytes_max, well.redis.policy) == ("", 100 << 20, "noeviction")
    assert full.redis.refusal.startswith("OOM ")
    assert [finding.sentence for finding in findings(full)] == ["Redis refuses writes: it is out of memory"]


def test_what_is_added_to_channels_and_inboxes_is_counted(redis_server: RedisServer, prefix: str) -> None:
    """By Redis itself, also when it was taken out again: for rates."""
    keys, client = Keys(prefix), redis_server.client()
    client.zadd(keys.nodes, {"worker.a": 1, "worker.b": 1})
    for node in ("worker.a", "worker.b"):
        client.set(keys.lease(node), msgpack.packb({"role": "worker"}))
    for _ in range(3):
        client.xadd(keys.inbox("worker.a"), {"b": "1"})
        client.xdel(keys.channel(HTTP_CHANNEL), client.xadd(keys.channel(HTTP_CHANNEL), {"b": "1"}))
    redis_status = RedisStatus(redis_server.url, prefix)
    status = redis_status.read()
    redis_status.close()
    assert [queue.added_total for queue in status.queues] == [3, None]
    assert {lease["node"]: lease.get("batches_total") for lease in status.processes} == {
        "worker.a": 3,
        "worker.b": None,
    }


def test_a_user_that_may_only_read_sees_what_it_may(redis_server: RedisServer, prefix: str) -> None:
    """Without scripts and writes: the processes and the queues. That Redis refuses *its* writes says nothing about others."""
    client = redis_server.client()
    rights = "-@all +info +time +zrange +mget +xlen +xrange +xinfo".split()
    client.acl_setuser("looker", enabled=True, passwords=["+secret"], keys=[f"{prefix}*"], commands=rights)
    client.zadd(Keys(prefix).nodes, {"worker.a": 1})
    client.set(Keys(prefix).lease("worker.a"), msgpack.packb({"role": "worker"}))
    redis_status = RedisStatus(f"unix://looker:secret@{redis_server.socket}", prefix)
    try:
        status = redis_status.read()
    finally:
        redis_status.close()
        client.acl_deluser("looker")
    assert [lease["role"] for lease in status.processes] == ["worker"] and len(status.queues) == 2
    assert status.redis.refusal == "" and status.queues[0].added_total is None
