"""Who was harmed, and how: what excuses a failure. Everybody else has none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto


class Victim(Enum):
    """Whom it hits."""

    WORKER = auto()
    INTERFACE = auto()
    REDIS = auto()
    PRIMARY = auto()  # of several servers of which a Sentinel makes one the primary
    SUPERVISOR = auto()  # of `serve`
    SERVE = auto()  # the parent of the supervisor


class Action(Enum):
    """What is done."""

    KILL = auto()  # SIGKILL
    FREEZE = auto()  # SIGSTOP, SIGCONT after more than a lease
    TERM = auto()
    BLOCK = auto()  # the loop does not turn; other threads do. Redis: CLIENT PAUSE
    SEVER = auto()  # Redis alone: every connection to it is closed
    FILL = auto()  # Redis alone: no memory is left, for a while
    DEMOTE = auto()  # Redis alone: it is a replica, for a while
    MOVE = auto()  # the primary alone: another one takes its place, and it has not been told yet
    RELOAD = auto()  # `serve` alone: all workers are replaced, one at a time


#: After these another server is the primary, and lacks what had not come to it yet.
MOVING = (Action.KILL, Action.FREEZE, Action.MOVE)


@dataclass(frozen=True, slots=True)
class Blow:
    """One thing that was done to process `pid`; interface: the number of the interface server, if it was one."""

    victim: Victim
    action: Action
    pid: int
    interface: int | None = None


@dataclass(frozen=True, slots=True)
class Harm:
    """All blows of one performance, and what they excuse."""

    blows: tuple[Blow, ...] = field(default=())
    unread: Mapping[int, frozenset[str]] = field(default_factory=dict)
    """Requests that may start only once and were in the inbox of a worker that had stopped, by its pid."""

    def pids(self, victim: Victim, *actions: Action) -> frozenset[int]:
        return frozenset(blow.pid for blow in self.blows if blow.victim is victim and blow.action in actions)

    def redis(self, *actions: Action) -> bool:
        return any(blow.victim is Victim.REDIS and blow.action in actions for blow in self.blows)

    @property
    def lost_workers(self) -> frozenset[int]:
        """Dead, or thought dead for good reason."""
        return self.pids(Victim.WORKER, Action.KILL, Action.FREEZE)

    @property
    def leaving_workers(self) -> frozenset[int]:
        return self.pids(Victim.WORKER, Action.TERM)

    @property
    def blocked_workers(self) -> frozenset[int]:
        """They fall for nobody; whoever leaves meanwhile cannot wait for them."""
        return self.pids(Victim.WORKER, Action.BLOCK)

    @property
    def blocked_interfaces(self) -> frozenset[int]:
        return self._interfaces(Action.BLOCK)

    @property
    def killed(self) -> frozenset[int]:
        """Those who could say nothing more."""
        return frozenset(blow.pid for blow in self.blows if blow.action is Action.KILL)

    @property
    def not_begun(self) -> frozenset[str]:
        """Requests that a worker had not read when it was killed: it has begun none of them, and that is known."""
        return frozenset(name for pid, names in self.unread.items() if pid in self.killed for name in names)

    @property
    def lost_interfaces(self) -> frozenset[int]:
        """Interface servers whose clients had no one left, or that were thought dead."""
        return self._interfaces(Action.KILL, Action.FREEZE)

    @property
    def leaving_interfaces(self) -> frozenset[int]:
        return self._interfaces(Action.TERM)

    @property
    def redis_forgot(self) -> bool:
        """Its data are gone: whatever was under way in it ends visibly."""
        return self.redis(Action.KILL, Action.TERM) or bool(self.pids(Victim.PRIMARY, *MOVING))

    @property
    def redis_was_away(self) -> bool:
        """No answer, or none in time: what is not known to be queued is not queued twice."""
        return self.redis(*Action) or bool(self.pids(Victim.PRIMARY, *Action))

    @property
    def redis_was_long_away(self) -> bool:
        """It may have been for longer than anybody may take to leave; connections that are cut alone are there again at once."""
        actions = set(Action) - {Action.SEVER}
        return self.redis(*actions) or bool(self.pids(Victim.PRIMARY, *actions))

    @property
    def everything_fell(self) -> bool:
        """The whole `serve`."""
        return any(
            blow.victim in (Victim.SUPERVISOR, Victim.SERVE) for blow in self.blows if blow.action is Action.KILL
        )

    def _interfaces(self, *actions: Action) -> frozenset[int]:
        return frozenset(blow.interface for blow in self.blows if blow.interface is not None and blow.action in actions)
