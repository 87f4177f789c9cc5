"""Findings: what is wrong with a deployment, each as one sentence with its remedy. OPERATIONS.md, "Findings". No I/O.

RULES is the table of all of them. A rule gets the facts of one moment and yields what it finds; it keeps nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from channel_layer.encryption.agreement import KEY_IDS
from channel_layer.process.log_values import shown
from channel_layer.protocol.deployment import same_application
from channel_layer.protocol.keys import CHANNEL_OF_KIND
from towpath.overview.marks import blocked_s, has_free_place, is_blocked, is_leaving, lag_ms, reports_places
from towpath.overview.package_versions import package_versions
from towpath.status.state import NAME, Queue, Status

INTERFACE, WORKER = "interface", "worker"

WAITED_S, WAITED_LONG_S = 1.0, 5.0  #: a connection in a queue: a warning, an error
MESSAGE_WAITED_S = 60.0  #: a message in a channel of the application: its receivers may take their time
LAG_MS = 250.0  #: a worker that is so late delays all that it serves
NEARLY_FULL = 0.9  #: of the memory, or of the clients, of Redis
NAMES_MAX = 3  #: in one sentence


class Severity(StrEnum):
    """How bad a finding is."""

    ERROR = "error"  #: clients notice it, or will within moments
    WARNING = "warning"  #: it may become an error


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about what is wrong, and one about what to do."""

    severity: Severity
    sentence: str
    remedy: str


Found = Iterator[Finding]
Lease = Mapping[str, Any]

#: Beginnings of the errors with which Redis refuses writes, what they mean, and what helps.
REJECTIONS = (
    ("OOM", "it is out of memory", "raise maxmemory, or find out what fills it; leases run out after 5 s"),
    ("READONLY", "it is a replica", "name the primary in --redis, or all Sentinels"),
    ("MISCONF", "it cannot save its data", "give its disk space, or turn saving off: Towpath needs none"),
    ("NOREPLICAS", "it has too few replicas", "bring its replicas back, or lower min-replicas-to-write"),
    ("LOADING", "it is still loading its data", "wait; Towpath needs no saved data, so saving may be off"),
)


def findings(status: Status) -> tuple[Finding, ...]:
    """Everything that is wrong, errors first, each of both kinds in the order of the table."""
    found = [finding for rule in RULES for finding in rule(status)]
    return tuple(sorted(found, key=lambda finding: finding.severity is not Severity.ERROR))


def has_error(found: Iterable[Finding]) -> bool:
    """True if one of them is an error."""
    return any(finding.severity is Severity.ERROR for finding in found)


def unreachable(sentence: str) -> Finding:
    """The finding that stands for all others when the state cannot be read. sentence: why."""
    return Finding(
        Severity.ERROR,
        sentence,
        "look at Redis first; processes connect again by themselves, and WebSockets stay open meanwhile",
    )


def label(lease: Lease) -> str:
    """The name of a process for people: that of `serve`, else that of its node. A lease may contain anything."""
    name = str(lease.get(NAME) or lease["node"])
    return name if name.isprintable() and len(name) <= 80 else shown(name)


# -- Redis


def _redis_refuses(status: Status) -> Found:
    refusal = status.redis.refusal
    if refusal:
        known = (row for row in REJECTIONS if refusal.startswith(row[0]))
        _, why, remedy = next(known, ("", shown(refusal), "look at its log"))
        yield Finding(Severity.ERROR, f"Redis refuses writes: {why}", remedy)


def _redis_evicts(status: Status) -> Found:
    policy = status.redis.policy
    if policy and policy != "noeviction":
        yield Finding(
            Severity.ERROR,
            f"Redis may drop what waits: its maxmemory-policy is {shown(policy)}",
            "set maxmemory-policy noeviction",
        )


def _redis_is_nearly_full(status: Status) -> Found:
    redis = status.redis
    if not redis.refusal and _is_nearly_full(redis.memory_bytes, redis.memory_bytes_max):
        used, most = redis.memory_bytes >> 20, redis.memory_bytes_max >> 20
        yield Finding(
            Severity.WARNING,
            f"Redis uses {used} MiB of the {most} MiB that it may",
            "raise maxmemory, or find out what fills it: when it is full, new requests get 503",
        )
    if _is_nearly_full(redis.clients, redis.clients_max):
        yield Finding(
            Severity.WARNING,
            f"Redis has {redis.clients} of the {redis.clients_max} clients that it may have",
            "raise maxclients: a process that starts needs 4 to 8 connections",
        )


def _is_nearly_full(used: int, most: int) -> bool:
    return 0 < NEARLY_FULL * most <= used


# -- which processes are there


def _no_process(status: Status) -> Found:
    if not status.processes and not status.redis.refusal:  # else leases cannot be renewed, which proves nothing
        yield Finding(
            Severity.ERROR,
            "no process is alive",
            "start `towpath serve APP`, or `towpath interface` and `towpath worker APP`, with this --redis and --prefix",
        )


def _no_interface_server(status: Status) -> Found:
    if not _of(status, INTERFACE) and (_of(status, WORKER) or (status.wanted.get(INTERFACE) and status.processes)):
        yield Finding(
            Severity.ERROR,
            "no interface server is alive: clients cannot connect",
            "start `towpath interface`; under `serve`, its log says why there is none",
        )


def _no_worker(status: Status) -> Found:
    if not _of(status, INTERFACE) or _staying_workers(status):
        return
    workers = _of(status, WORKER)
    leaving = "the only one is" if len(workers) == 1 else f"all {len(workers)} are"
    why = f"{leaving} about to leave" if workers else "there is none"
    waiting = sum(queue.depth for queue in _connection_queues(status))
    yield Finding(
        Severity.WARNING if status.wanted.get(WORKER) == 0 else Severity.ERROR,
        f"no worker serves http.request: {why}{_and_waiting(waiting)}",
        "start `towpath worker APP`, or `towpath scale worker=N`; requests wait for --queue-wait, then get 503",
    )


_FROZEN = (
    "unless it is only starting it is frozen: stopped (SIGSTOP), or in a call in C; SIGCONT wakes it, SIGKILL ends it"
)
_FROZEN_WORKER = f"{_FROZEN}, which `serve` does after --worker-timeout while another process has a lease"


def _missing(status: Status) -> Found:
    here = Counter(str(lease.get("role")) for lease in status.processes)
    for role, count in sorted(status.wanted.items()):
        if here[role] < count and not status.redis.refusal:
            noun = {INTERFACE: "interface server"}.get(role, role)
            severity = Severity.WARNING if here[role] else Severity.ERROR
            frozen = [(name, pid) for name, pid in status.without_lease.items() if name.startswith(f"{role}-")]
            for name, pid in sorted(frozen)[:NAMES_MAX]:
                yield Finding(
                    severity,
                    f"{name} (pid {pid}) runs and has no lease",
                    _FROZEN_WORKER if role == WORKER else _FROZEN,
                )
            if here[role] + len(frozen) >= count:
                continue
            yield Finding(
                severity,
                f"there {'is' if here[role] == 1 else 'are'} {_count(here[role], noun)}, and serve was asked for {count}",
                "`serve` starts them again; its log says why they ended",
            )


# -- what they are able to take


def _full(status: Status) -> Found:
    workers = _staying_workers(status)
    for kind, channel in CHANNEL_OF_KIND.items():
        able = [worker for worker in workers if reports_places(worker) and not is_blocked(worker)]
        if not able or any(has_free_place(worker, kind) for worker in able):
            continue
        waiting = sum(queue.depth for queue in status.queues if queue.channel == channel)
        which = "the only worker is" if len(workers) == 1 else f"all {len(workers)} workers are"
        full = "full" if len(able) == len(workers) else "full or blocked"
        what, option = _OF_KIND[kind]
        yield Finding(
            Severity.ERROR if waiting else Severity.WARNING,
            f"{which} {full}: no place for a {what}{_and_waiting(waiting)}",
            f"start more workers, raise {option}, or find out what the application waits for",
        )


#: What a connection of each kind is for people, and which option sets how many a worker has.
_OF_KIND = {
    "http": ("request", "--worker-concurrency (sync code: --threads)"),
    "websocket": ("WebSocket", "--worker-websockets"),
}


def _waits(status: Status) -> Found:
    for queue in _connection_queues(status):
        if queue.depth and queue.age_s >= WAITED_S:
            what = "request" if queue.channel == CHANNEL_OF_KIND["http"] else "WebSocket"
            wait = "1 waits" if queue.depth == 1 else f"{queue.depth} wait"
            yield Finding(
                Severity.ERROR if queue.age_s >= WAITED_LONG_S else Severity.WARNING,
                f"the oldest {what} has waited for {queue.age_s:.0f} s, and {wait} in {queue.channel}",
                "start more workers; if theirs are free, look for a blocked event loop among them",
            )


def _messages_wait(status: Status) -> Found:
    for queue in status.queues:
        if queue in _connection_queues(status) or not queue.depth:
            continue
        name, messages = shown(queue.channel), _count(queue.depth, "message")
        wait = "waits" if queue.depth == 1 else "wait"
        if queue.dead_letter:
            yield Finding(
                Severity.WARNING,
                f"{messages} that failed {wait} in {name}",
                "the log says at which error; receive them from this channel when that is mended",
            )
        elif not queue.receivers:
            yield Finding(
                Severity.WARNING,
                f"no process receives from {name}: {messages} {wait}, the oldest for {queue.age_s:.0f} s",
                f"start `towpath worker APP --channel {name}`, or stop sending to it",
            )
        elif queue.age_s >= MESSAGE_WAITED_S:
            yield Finding(
                Severity.WARNING,
                f"the oldest message in {name} has waited for {queue.age_s:.0f} s, and {queue.depth} wait",
                "start more receivers of this channel",
            )


def _blocked(status: Status) -> Found:
    blocked = sorted(filter(is_blocked, status.processes), key=blocked_s, reverse=True)
    for lease in blocked[:NAMES_MAX]:
        yield Finding(
            Severity.ERROR,
            f"the event loop of {label(lease)} has been blocked for {blocked_s(lease):.0f} s (pid {shown(lease.get('pid'))})",
            "its log shows the lines of code; call what blocks from sync code or in a thread",
        )
    if len(blocked) > NAMES_MAX:
        yield Finding(
            Severity.ERROR,
            f"so are those of {_count(len(blocked) - NAMES_MAX, 'more process')}",
            "see the log of each worker",
        )


def _slow(status: Status) -> Found:
    slow = [lease for lease in status.processes if lag_ms(lease) >= LAG_MS and not is_blocked(lease)]
    if slow:
        yield Finding(
            Severity.WARNING,
            f"the event loop of {_names(slow)} is up to {max(map(lag_ms, slow)):.0f} ms late",
            "look for code that does not yield on the event loop, and for a machine without a free CPU",
        )


# -- whether they belong together


def _other_applications(status: Status) -> Found:
    named = [lease for lease in status.processes if _names_application(lease)]
    if not named:
        return
    # That of the interface servers is the one that clients see; without one, that of most processes.
    counts = Counter(lease["app"] for lease in _of(status, INTERFACE) if lease in named) or Counter(
        lease["app"] for lease in named
    )
    ours = max(counts, key=lambda app: (counts[app], app))
    others = [lease for lease in named if not same_application(lease["app"], ours)]
    if others:
        apps = " and ".join(sorted({shown(lease["app"]) for lease in others})[:NAMES_MAX])
        all_workers = all(lease.get("role") == WORKER for lease in others)
        yield Finding(
            Severity.ERROR,
            f"{_count(len(others), 'worker' if all_workers else 'process')} "
            f"{'runs' if len(others) == 1 else 'run'} another APP under this prefix: {apps}, not {shown(ours)}",
            "give each deployment a --prefix of its own: now each may get connections of the other",
        )


def _names_application(lease: Lease) -> bool:
    """True if a process names an APP, and was not allowed to run beside others."""
    app = lease.get("app")
    return isinstance(app, str) and app != "" and not lease.get("mixed_apps")


def _mixed_versions(status: Status) -> Found:
    versions = Counter(lease["version"] for lease in status.processes if type(lease.get("version")) is int)
    if len(versions) > 1:
        each = ", ".join(f"{_count(count, 'process')} version {version}" for version, count in sorted(versions.items()))
        yield Finding(
            Severity.WARNING,
            f"processes speak different versions of the protocol: {each}",
            "finish the upgrade: no process of one version understands all of the other",
        )
    if each := package_versions(status.processes):
        yield Finding(
            Severity.WARNING,
            f"processes of several versions of Towpath run at once: {each}",
            "this is ordinary during an upgrade; after it replace the older ones, which status shows by their package_version",
        )


def _other_keys(status: Status) -> Found:
    known = [lease for lease in status.processes if lease.get("role") or lease.get(KEY_IDS)]
    keys = {label(lease): str(lease.get(KEY_IDS) or "").split() for lease in known}
    senders = {ids[0] if ids else "" for ids in keys.values()}
    cannot = [name for name, ids in keys.items() if any(sender not in (ids or [""]) for sender in senders)]
    if cannot:
        which = ", ".join(sorted(cannot)[:NAMES_MAX]) + _and_more(len(cannot))
        yield Finding(
            Severity.ERROR,
            f"{_count(len(cannot), 'process')} cannot decrypt what another one sends: {which}",
            "give all processes the same keys; a rotation adds the new one everywhere before it is used",
        )


def _unreadable(status: Status) -> Found:
    if status.unreadable:
        yield Finding(
            Severity.WARNING,
            f"this command cannot read every lease: {status.unreadable}",
            "give `towpath status` the keys of the deployment",
        )


#: Every rule. Within one severity, findings are shown in this order: what causes others comes first.
RULES: tuple[Callable[[Status], Found], ...] = (
    _redis_refuses,
    _redis_evicts,
    _no_process,
    _no_interface_server,
    _no_worker,
    _blocked,
    _full,
    _waits,
    _other_applications,
    _other_keys,
    _missing,
    _redis_is_nearly_full,
    _slow,
    _messages_wait,
    _mixed_versions,
    _unreadable,
)


def _of(status: Status, role: str) -> list[dict[str, Any]]:
    return [lease for lease in status.processes if lease.get("role") == role]


def _staying_workers(status: Status) -> list[dict[str, Any]]:
    return [worker for worker in _of(status, WORKER) if not is_leaving(worker)]


def _connection_queues(status: Status) -> list[Queue]:
    return [queue for queue in status.queues if queue.channel in CHANNEL_OF_KIND.values()]


def _count(count: int, noun: str) -> str:
    plural = noun + ("es" if noun.endswith("s") else "s")
    return f"{count} {noun if count == 1 else plural}"


def _names(leases: Sequence[Lease]) -> str:
    return ", ".join(label(lease) for lease in leases[:NAMES_MAX]) + _and_more(len(leases))


def _and_more(count: int) -> str:
    return f" and {count - NAMES_MAX} more" if count > NAMES_MAX else ""


def _and_waiting(count: int) -> str:
    return f", and {count} {'waits' if count == 1 else 'wait'}" if count else ""
