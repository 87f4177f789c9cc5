"""The state of a deployment at one moment: its processes, what waits between them, and Redis itself. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from channel_layer.protocol.deployment import full_name

NAME = "name"  #: the field with the name under which `serve` runs a process: worker-2


@dataclass(frozen=True, slots=True)
class Queue:
    """One shared channel: the connections or messages that wait there, the age of the oldest, and the processes that receive."""

    channel: str
    depth: int
    age_s: float
    receivers: int = 0
    dead_letter: bool = field(default=False, kw_only=True)  #: a background worker sends messages here that failed
    added_total: int | None = field(default=None, kw_only=True)  #: since its stream exists; Redis 6.2 does not count


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisState:
    """What Redis says of itself. A figure that it does not give is 0, a text empty."""

    refusal: str = ""  #: the error with which it refuses writes at present, in its own words; empty if it takes them
    memory_bytes: int = 0
    memory_bytes_max: int = 0  #: 0: no limit
    policy: str = ""  #: maxmemory-policy
    clients: int = 0
    clients_max: int = 0


@dataclass(frozen=True, slots=True)
class Status:
    """The state at one moment."""

    processes: tuple[dict[str, Any], ...]
    queues: tuple[Queue, ...]
    now_s: float = 0.0  #: Redis' clock
    wanted: Mapping[str, int] = field(default_factory=dict)  #: by role, where a `serve` has published it
    unreadable: str = ""  #: why leases cannot be decrypted with the keys of this command; empty if all can
    redis: RedisState = field(default_factory=RedisState, kw_only=True)
    #: Pids of the processes of that `serve` that run and have no lease, by name.
    without_lease: Mapping[str, int] = field(default_factory=dict, kw_only=True)

    def of_serve(self, wanted: Mapping[str, int], names: Mapping[int, str], machine: str) -> Status:
        """The same with what the `serve` of this machine knows: how many processes it wants by role, and their names by pid."""

        def named(lease: dict[str, Any]) -> dict[str, Any]:
            name = names.get(_pid(lease)) if lease.get("machine") == machine else None
            return lease if name is None else {**lease, NAME: name}

        processes = tuple(map(named, self.processes))
        here = {_pid(lease) for lease in processes if NAME in lease}
        without_lease = {name: pid for pid, name in names.items() if pid not in here}
        return replace(self, wanted=wanted, processes=processes, without_lease=without_lease)


def named_in_full(leases: Sequence[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    """The leases, where each APP without an attribute has the one that the workers of the same APP have found."""
    apps = {lease["app"] for lease in leases if isinstance(lease.get("app"), str)}
    return tuple(
        {**lease, "app": full_name(lease["app"], apps)} if isinstance(lease.get("app"), str) else lease
        for lease in leases
    )


def _pid(lease: Mapping[str, Any]) -> int:
    """The pid in a lease, which may contain anything; 0 if it has none."""
    pid = lease.get("pid")
    return pid if type(pid) is int else 0
