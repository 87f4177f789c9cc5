"""What waits for a client that does not read: bounded in bytes and in time, on both sides of each bound. P5."""

from __future__ import annotations

from dataclasses import dataclass, field

from interface_server.groups.push_backlog import TOLERATED_BYTES, PushBacklog
from interface_server.settings import InterfaceSettings
from interface_server.transport.slow_consumers import SlowConsumers

TIMEOUT_S = 30.0
BYTES_MAX = 4 * TOLERATED_BYTES


@dataclass(eq=False)
class Stream:
    """A transport whose client takes what the test says."""

    written_bytes: int = 0
    taken_bytes: int = 0

    def acknowledged_bytes(self) -> int:
        return self.taken_bytes

    def get_write_buffer_size(self) -> int:
        return self.written_bytes - self.taken_bytes


@dataclass
class Context:
    settings: InterfaceSettings = field(default_factory=lambda: InterfaceSettings(ws_push_bytes_max=BYTES_MAX))
    slow: SlowConsumers = field(default_factory=lambda: SlowConsumers(TIMEOUT_S))
    now: float = 0.0


class Played:
    """One backlog, and how often its client was found to be too slow."""

    def __init__(self) -> None:
        self.stream, self.context, self.slow = Stream(), Context(), 0
        self.backlog = PushBacklog(self.context, self.stream, self._too_slow)

    def _too_slow(self) -> None:
        self.slow += 1
        self.backlog.end()

    def push(self, size_bytes: int, held_bytes: int = 0) -> None:
        self.stream.written_bytes += size_bytes
        self.backlog.add(size_bytes, held_bytes)


def test_a_client_has_its_time_for_a_burst_of_any_size_below_the_bound() -> None:
    played = Played()
    for _ in range(4):
        played.push(TOLERATED_BYTES)
    played.context.slow.check(TIMEOUT_S - 1)
    assert not played.slow
    played.stream.taken_bytes = BYTES_MAX
    played.context.slow.check(TIMEOUT_S + 1)
    assert not played.slow, "it has caught up"


def test_more_than_the_bound_is_too_much_at_once_wherever_it_waits() -> None:
    played, held = Played(), Played()
    played.push(BYTES_MAX)
    held.push(TOLERATED_BYTES, BYTES_MAX - TOLERATED_BYTES)
    assert not played.slow and not held.slow
    played.push(1)
    held.push(0, BYTES_MAX - TOLERATED_BYTES + 1)
    assert played.slow == held.slow == 1


def test_what_the_client_has_taken_does_not_wait_any_more() -> None:
    played = Played()
    for _ in range(10):
        played.push(TOLERATED_BYTES)
        played.stream.taken_bytes = played.stream.written_bytes
    assert not played.slow


def test_who_takes_nothing_of_much_in_time_is_too_slow_and_of_little_is_not() -> None:
    much, little = Played(), Played()
    much.push(TOLERATED_BYTES + 1)
    little.push(TOLERATED_BYTES)
    for played in (much, little):
        played.context.slow.check(TIMEOUT_S)
    assert (much.slow, little.slow) == (1, 0)


def test_the_watch_ends_with_the_backlog() -> None:
    """And with one that has shrunk below what is tolerated a late client is not too slow."""
    ended, shrunk = Played(), Played()
    for played in (ended, shrunk):
        played.push(2 * TOLERATED_BYTES)
    ended.backlog.end()
    shrunk.stream.taken_bytes = TOLERATED_BYTES
    for played in (ended, shrunk):
        played.context.slow.check(TIMEOUT_S)
    assert not ended.slow and not shrunk.slow and not len(ended.context.slow)
