"""Findings: every rule, on both sides of its limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from towpath.overview.findings import RULES, Finding, Severity, findings, has_error, unreachable
from towpath.status.state import Queue, RedisState, Status

Lease = dict[str, Any]
ERROR, WARNING = Severity.ERROR, Severity.WARNING


def interface(name: str = "interface-0", **more: Any) -> Lease:
    return {"node": f"interface.{name}", "name": name, "role": "interface", "version": 1, "app": "main:app", **more}


def worker(name: str = "worker-0", **more: Any) -> Lease:
    free = {"http": 3, "websocket": 9}
    return {"node": f"n.{name}", "name": name, "role": "worker", "version": 1, "app": "main:app", "free": free, **more}


FULL = {"http": 0, "websocket": 9}
EMPTY = (Queue("http.request", 0, 0.0, 2), Queue("websocket.connect", 0, 0.0, 2))
WELL = Status(
    (interface(), worker(), worker("worker-1")), EMPTY, redis=RedisState(policy="noeviction", clients_max=100)
)


def waiting(depth: int, age_s: float, channel: str = "http.request", **more: Any) -> tuple[Queue, ...]:
    return (*(queue for queue in EMPTY if queue.channel != channel), Queue(channel, depth, age_s, **more))


def with_processes(*leases: Lease, **more: Any) -> Status:
    return replace(WELL, processes=leases, **more)


def sentences(status: Status) -> list[tuple[Severity, str]]:
    return [(finding.severity, finding.sentence) for finding in findings(status)]


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    assert findings(WELL) == ()
    assert findings(replace(WELL, wanted={"worker": 2, "interface": 1})) == ()
    ordinary = (worker(lag_ms=249.0, blocked_s=0.0, draining=True), worker("worker-1", gives_way=True, lag_ms=60.0))
    assert findings(with_processes(interface(), *ordinary, queues=waiting(3, 0.9))) == ()


CASES: Sequence[tuple[str, Status, list[tuple[Severity, str]]]] = (
    (
        "out of memory",
        replace(WELL, redis=RedisState(refusal="OOM command not allowed")),
        [(ERROR, "Redis refuses writes: it is out of memory")],
    ),
    (
        "a replica, whose leases have run out: that no process is seen proves nothing",
        Status((), EMPTY, wanted={"worker": 2}, redis=RedisState(refusal="READONLY You can't write")),
        [(ERROR, "Redis refuses writes: it is a replica")],
    ),
    (
        "refuses for a reason of its own",
        replace(WELL, redis=RedisState(refusal="ODD \x1b[2J")),
        [(ERROR, r"Redis refuses writes: 'ODD \x1b[2J'")],
    ),
    (
        "evicts",
        replace(WELL, redis=RedisState(policy="allkeys-lru")),
        [(ERROR, "Redis may drop what waits: its maxmemory-policy is 'allkeys-lru'")],
    ),
    (
        "nearly full",
        replace(WELL, redis=RedisState(memory_bytes=90 << 20, memory_bytes_max=100 << 20, clients=90, clients_max=100)),
        [
            (WARNING, "Redis uses 90 MiB of the 100 MiB that it may"),
            (WARNING, "Redis has 90 of the 100 clients that it may have"),
        ],
    ),
    (
        "not nearly full",
        replace(WELL, redis=RedisState(memory_bytes=89 << 20, memory_bytes_max=100 << 20, clients=89, clients_max=100)),
        [],
    ),
    ("no process", Status((), EMPTY), [(ERROR, "no process is alive")]),
    (
        "no interface server",
        with_processes(worker()),
        [(ERROR, "no interface server is alive: clients cannot connect")],
    ),
    ("background work alone needs none", with_processes({"node": "w.a", "role": "background", "version": 1}), []),
    (
        "no worker",
        with_processes(interface(), queues=waiting(2, 0.5)),
        [(ERROR, "no worker serves http.request: there is none, and 2 wait")],
    ),
    (
        "no worker, on purpose",
        with_processes(interface(), wanted={"worker": 0}),
        [(WARNING, "no worker serves http.request: there is none")],
    ),
    (
        "all leave",
        with_processes(interface(), worker(draining=True)),
        [(ERROR, "no worker serves http.request: the only one is about to leave")],
    ),
    (
        "too few",
        replace(WELL, wanted={"worker": 4, "interface": 1}),
        [(WARNING, "there are 2 workers, and serve was asked for 4")],
    ),
    (
        "one is frozen",
        replace(WELL, wanted={"worker": 3, "interface": 1}, without_lease={"worker-2": 7, "redis": 8}),
        [(WARNING, "worker-2 (pid 7) runs and has no lease")],
    ),
    (
        "one is frozen, and one is not there",
        replace(WELL, wanted={"worker": 4, "interface": 1}, without_lease={"worker-2": 7}),
        [
            (WARNING, "worker-2 (pid 7) runs and has no lease"),
            (WARNING, "there are 2 workers, and serve was asked for 4"),
        ],
    ),
    (
        "all full",
        with_processes(interface(), worker(free=FULL), worker("worker-1", free=FULL)),
        [(WARNING, "all 2 workers are full: no place for a request")],
    ),
    (
        "all full, and clients wait",
        with_processes(interface(), worker(free=FULL), queues=waiting(1, 0.2)),
        [(ERROR, "the only worker is full: no place for a request, and 1 waits")],
    ),
    (
        "full of WebSockets",
        with_processes(interface(), worker(free={"http": 1, "websocket": 0})),
        [(WARNING, "the only worker is full: no place for a WebSocket")],
    ),
    ("one of them is full", with_processes(interface(), worker(free=FULL), worker("worker-1")), []),
    ("an older version tells no places", with_processes(interface(), worker(free=None)), []),
    (
        "full or blocked",
        with_processes(interface(), worker(free=FULL, blocked_s=7.2, pid=41), worker("worker-1", free=FULL)),
        [
            (ERROR, "the event loop of worker-0 has been blocked for 7 s (pid 41)"),
            (WARNING, "all 2 workers are full or blocked: no place for a request"),
        ],
    ),
    (
        "many are blocked",
        with_processes(interface(), worker(), *(worker(f"w-{n}", blocked_s=n, pid=n) for n in range(2, 7))),
        [
            (ERROR, "the event loop of w-6 has been blocked for 6 s (pid 6)"),
            (ERROR, "the event loop of w-5 has been blocked for 5 s (pid 5)"),
            (ERROR, "the event loop of w-4 has been blocked for 4 s (pid 4)"),
            (ERROR, "so are those of 2 more processes"),
        ],
    ),
    (
        "slow",
        with_processes(interface(), worker(lag_ms=250.0), worker("worker-1", lag_ms=300.0)),
        [(WARNING, "the event loop of worker-0, worker-1 is up to 300 ms late")],
    ),
    (
        "a request waits",
        replace(WELL, queues=waiting(3, 1.0)),
        [(WARNING, "the oldest request has waited for 1 s, and 3 wait in http.request")],
    ),
    (
        "a WebSocket waits for long",
        replace(WELL, queues=waiting(3, 12.0, "websocket.connect")),
        [(ERROR, "the oldest WebSocket has waited for 12 s, and 3 wait in websocket.connect")],
    ),
    ("a message may wait for a minute", replace(WELL, queues=waiting(3, 59.0, "work", receivers=1)), []),
    (
        "a message waits for long",
        replace(WELL, queues=waiting(3, 60.0, "work", receivers=1)),
        [(WARNING, "the oldest message in 'work' has waited for 60 s, and 3 wait")],
    ),
    (
        "no process receives",
        replace(WELL, queues=waiting(1, 2.0, "work")),
        [(WARNING, "no process receives from 'work': 1 message waits, the oldest for 2 s")],
    ),
    (
        "dead letters",
        replace(WELL, queues=waiting(2, 2.0, "dead", dead_letter=True)),
        [(WARNING, "2 messages that failed wait in 'dead'")],
    ),
    (
        "another APP",
        with_processes(interface(), worker(), worker("w-1", app="shop:app"), worker("w-2", app="shop:app")),
        [(ERROR, "2 workers run another APP under this prefix: 'shop:app', not 'main:app'")],
    ),
    (
        "another APP, and no interface server that names one",
        with_processes(interface(app=None), worker(), worker("w-1", app="shop:app"), worker("w-2", app="shop:app")),
        [(ERROR, "1 worker runs another APP under this prefix: 'main:app', not 'shop:app'")],
    ),
    ("the same APP, written otherwise", with_processes(interface(app="main"), worker(), worker("w-1")), []),
    (
        "mixed on purpose",
        with_processes(interface(), worker(), worker("w-1", app="shop:app", mixed_apps=True)),
        [],
    ),
    (
        "mixed versions",
        with_processes(interface(), worker(), worker("w-1", version=2)),
        [(WARNING, "processes speak different versions of the protocol: 2 processes version 1, 1 process version 2")],
    ),
    (
        "mixed versions of the package",
        with_processes(interface(package_version="0.2.0"), worker(package_version="0.2.0"), worker("w-1", machine="m")),
        [(WARNING, "processes of several versions of Towpath run at once: 2 of '0.2.0', 1 of an earlier version")],
    ),
    (
        "a worker that a stranger has written",
        with_processes(interface(package_version="0.2.0"), worker(), worker("w-1", package_version="0.2.0")),
        [],
    ),
    (
        "one process lacks the key of the others",
        with_processes(interface(encryption="k2 k1"), worker(encryption="k1")),
        [(ERROR, "1 process cannot decrypt what another one sends: worker-0")],
    ),
    ("keys are rotated", with_processes(interface(encryption="k2 k1"), worker(encryption="k1 k2")), []),
    (
        "one encrypts nothing",
        with_processes(interface(encryption="k1"), worker()),
        [(ERROR, "2 processes cannot decrypt what another one sends: interface-0, worker-0")],
    ),
    (
        "this command has no key",
        with_processes({"node": "w.a", "encryption": "k1"}, unreadable="w.a encrypts"),
        [(WARNING, "this command cannot read every lease: w.a encrypts")],
    ),
)


@pytest.mark.parametrize(("status", "found"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_what_is_found(status: Status, found: list[tuple[Severity, str]]) -> None:
    """Each sentence has its remedy; errors come first."""
    assert sentences(status) == found
    assert all(finding.remedy for finding in findings(status))


def test_each_rule_finds_something_in_a_case_above() -> None:
    """A rule without a case could be wrong in every word."""
    assert [rule.__name__ for rule in RULES if not any(list(rule(status)) for _, status, _ in CASES)] == []


def test_errors_come_first() -> None:
    """And within one severity the causes."""
    status = with_processes(worker(lag_ms=300.0), queues=waiting(1, 9.0))
    assert [finding.severity for finding in findings(status)] == [ERROR, ERROR, WARNING]
    assert has_error(findings(status)) and not has_error(findings(WELL))


def test_a_state_that_cannot_be_read_is_a_finding_itself() -> None:
    found = unreachable("Redis at redis://x is unreachable")
    assert isinstance(found, Finding) and has_error([found])


def test_leases_of_strangers_harm_no_finding() -> None:
    """P12. Every field may be of any type, and a name may be made of control characters."""
    odd: list[Any] = [None, True, 0, -1.5, "x", "\x1b[2J", [], {}, {"http": "3"}, "y" * 10_000]
    fields = "role name app version blocked_s lag_ms free draining gives_way encryption mixed_apps pid machine package_version".split()
    for value in odd:
        for role in ("worker", "interface", value):
            lease = {**dict.fromkeys(fields, value), "node": "odd.\x07", "role": role}
            found = findings(replace(WELL, processes=(lease, worker(blocked_s=3.0), interface())))
            assert all(finding.sentence.isprintable() and len(finding.sentence) < 1_000 for finding in found)
