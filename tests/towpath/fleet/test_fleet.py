"""How processes give way to their successors, and how many there are. No process, no clock."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from channel_layer.protocol.illegal_move import IllegalMove
from towpath.fleet.fleet import LEAVE_TIMEOUT_S, REQUESTS_IGNORED_S, Commands, Fleet, Job
from towpath.fleet.slot import START_TIMEOUT_S, Slot, SlotState
from towpath.supervisord.process import Process

SLOTS = [f"worker-{number}" for number in range(6)]
#: What may become of a process that was told to start, and of one that was told to stop.
START, STOP = "RUNNING", "STOPPED"


class Supervisord:
    """Does at once what it is asked for, unless told otherwise; and remembers how many were ready at the least."""

    def __init__(self, count: int, slots: int = 6) -> None:
        self.fleet = Fleet(SLOTS[:slots], count)
        self.states = {name: START if index < count else STOP for index, name in enumerate(SLOTS[:slots])}
        self.broken: set[str] = set()  # a process that starts there dies, and reports why
        self.slow: set[str] = set()  # a process that is asked to leave there takes its time
        self.unready: set[str] = set()
        self.now = 0.0
        self.ready_min = count
        self.started: list[str] = []
        self.failures: list[str] = []

    def poll(self) -> Commands:
        """One look, and what supervisord then does."""
        processes = {
            name: Process(
                name=name,
                state=state,
                pid=SLOTS.index(name) + 1,
                cannot_start=name in self.broken,
                reason="no database" * (name in self.broken),
            )
            for name, state in self.states.items()
        }
        ready = {name for name, state in self.states.items() if state == START} - self.unready
        commands = self.fleet.advance(processes, frozenset(SLOTS.index(name) + 1 for name in ready), self.now)
        for name in commands.stop:
            self.states[name] = "STOPPING" if name in self.slow else STOP
        self.ready_min = min(self.ready_min, len([name for name in ready if self.states[name] == START]))
        for name in commands.start:
            self.states[name] = "BACKOFF" if name in self.broken else START
            self.started.append(name)
        self.failures += commands.failures
        return commands

    def poll_until(self, fact: Callable[[], object]) -> None:
        """Look, at most often enough."""
        for _ in range(60):
            if fact():
                return
            self.poll()
        raise AssertionError(self.states)

    def do(self, job: Job) -> Job:
        """Look until it is over."""
        self.poll_until(lambda: job.over)
        return job

    @property
    def alive(self) -> list[str]:
        return [name for name, state in self.states.items() if state == START]


def test_workers_are_replaced_one_at_a_time_and_never_fewer_are_ready() -> None:
    """P7. Each successor is ready before its predecessor is asked to leave."""
    it = Supervisord(3)
    job = it.fleet.replace_all()
    most = 0
    while not job.over:
        it.poll()
        most = max(most, len(it.alive))
    assert not job.failure
    assert (most, it.ready_min, len(it.started), len(it.alive)) == (4, 3, 3, 3)
    assert sorted(it.fleet.current) == it.alive
    assert not it.fleet.busy


def test_a_successor_without_a_lease_replaces_nobody() -> None:
    """A process that runs is not yet one that takes connections."""
    it = Supervisord(1)
    it.unready = {"worker-1"}
    job = it.fleet.replace_all()
    for _ in range(5):
        it.poll()
    assert it.alive == ["worker-0", "worker-1"]
    it.now = START_TIMEOUT_S + 1
    assert it.do(job).failure == "worker-1 was not ready within 150 s; the old ones stay"
    it.poll()
    assert it.alive == it.fleet.current == ["worker-0"]


def test_who_cannot_start_ends_it_and_the_old_ones_stay() -> None:
    """A mistake in the code costs no connection, and the reason is logged."""
    it = Supervisord(2)
    it.broken = {"worker-2"}
    assert it.do(it.fleet.replace_all()).failure == "worker-2 could not start: no database; the old ones stay"
    assert it.fleet.current == it.alive == ["worker-0", "worker-1"]
    it.poll()
    assert it.states["worker-2"] == STOP
    it.broken = set()
    assert not it.do(it.fleet.replace_all()).failure


def test_a_slow_leaver_is_waited_for_a_while_and_not_forever() -> None:
    """One that finishes old connections for half a minute must not make a reload of eight take four minutes."""
    it = Supervisord(2)
    it.slow = {"worker-0"}
    job = it.fleet.replace_all()
    for _ in range(5):
        it.poll()
    assert it.started == ["worker-2"]
    it.now = LEAVE_TIMEOUT_S
    it.poll_until(lambda: sorted(it.fleet.current) == ["worker-2", "worker-3"])
    assert not job.over
    it.states["worker-0"] = STOP
    assert not it.do(job).failure


def test_a_slot_that_leaves_a_second_time_is_not_waited_for_as_a_predecessor() -> None:
    """The process that had it before has gone; that there are fewer now holds up no successor."""
    it = Supervisord(1)
    it.do(it.fleet.replace_all())
    it.do(it.fleet.scale(2))
    it.slow = {"worker-0"}
    it.fleet.scale(1)
    it.fleet.replace_all()
    it.poll_until(lambda: it.fleet.current == ["worker-2"])
    assert it.states["worker-0"] == "STOPPING"


def test_without_an_idle_slot_the_next_step_waits() -> None:
    """Processes that still leave keep theirs."""
    it = Supervisord(2, slots=3)
    it.slow = {"worker-0"}
    job = it.fleet.replace_all()
    for _ in range(5):
        it.poll()
        it.now += LEAVE_TIMEOUT_S
    assert it.started == ["worker-2"]
    it.states["worker-0"] = STOP
    assert not it.do(job).failure


def test_a_reload_in_the_middle_of_another_replaces_the_new_ones_too() -> None:
    """A process that started before the last change does not have it."""
    it = Supervisord(2)
    first = it.fleet.replace_all()
    it.poll()
    second = it.fleet.replace_all()
    it.do(second)
    assert first.over
    assert it.started == ["worker-2", "worker-0", "worker-1"]
    assert it.alive == ["worker-0", "worker-1"]
    assert it.ready_min == 2


def test_a_process_that_supervisord_starts_again_meanwhile_is_stopped_again() -> None:
    """EXITED is not the end of a slot."""
    it = Supervisord(1)
    it.slow = {"worker-0"}
    job = it.fleet.replace_all()
    it.poll_until(lambda: it.states["worker-0"] == "STOPPING")
    it.slow = set()
    it.states["worker-0"] = "EXITED"
    it.poll()
    assert not job.over
    it.states["worker-0"] = START
    it.do(job)
    assert it.states["worker-0"] == STOP


def test_more_and_fewer() -> None:
    """The job is over when the new ones are ready, or the superfluous ones have gone."""
    it = Supervisord(1)
    assert not it.do(it.fleet.scale(3)).failure
    assert it.alive == ["worker-0", "worker-1", "worker-2"]
    it.slow = {"worker-2"}
    job = it.fleet.scale(1)
    for _ in range(3):
        it.poll()
    assert not job.over
    it.states["worker-2"] = STOP
    it.do(job)
    assert it.fleet.current == it.alive == ["worker-0"]
    it.do(it.fleet.scale(0))
    assert it.alive == []
    it.do(it.fleet.replace_all())


def test_more_that_cannot_start_leave_the_number_as_it_was() -> None:
    """And no loop of attempts."""
    it = Supervisord(1)
    it.broken = {"worker-2"}
    assert it.do(it.fleet.scale(3)).failure == "worker-2 could not start: no database"
    for _ in range(5):
        it.poll()
    assert it.started.count("worker-2") == 1
    assert it.fleet.current == it.alive == ["worker-0", "worker-1"]


def test_who_starts_beside_one_that_cannot_is_counted() -> None:
    """One number: as many as there are."""
    it = Supervisord(2)
    it.broken, it.unready = {"worker-2"}, {"worker-3"}
    assert it.do(it.fleet.scale(4)).failure
    it.unready = set()
    it.poll_until(lambda: not it.fleet.busy)
    assert it.fleet.current == it.alive == ["worker-0", "worker-1", "worker-3"]
    assert it.fleet.count == 3


def test_fewer_while_more_are_on_their_way_and_all_are_to_be_replaced() -> None:
    """A process that is starting and queued for replacement counts once, not twice."""
    it = Supervisord(2)
    it.unready = {"worker-2", "worker-3"}
    it.fleet.scale(4)
    it.poll()
    reload = it.fleet.replace_all()
    scale = it.fleet.scale(1)
    it.unready = set()
    it.do(reload)
    it.do(scale)
    it.poll_until(lambda: not it.fleet.busy)
    assert len(it.fleet.current) == it.fleet.count == 1
    assert it.fleet.current == it.alive


def test_fewer_while_all_are_being_replaced() -> None:
    """The number holds at the end; a process with a starting successor is not stopped in vain."""
    it = Supervisord(3)
    it.unready = {"worker-3"}
    reload = it.fleet.replace_all()
    it.poll()
    scale = it.fleet.scale(1)
    it.poll()
    it.unready = set()
    it.do(reload)
    it.do(scale)
    it.poll_until(lambda: not it.fleet.busy)
    it.poll()
    assert it.fleet.current == it.alive == it.started == ["worker-3"]


def test_the_successor_of_whoever_was_dropped_is_not_kept() -> None:
    """The number holds, whatever was under way."""
    it = Supervisord(1)
    it.unready = {"worker-1"}
    reload = it.fleet.replace_all()
    it.poll()
    it.do(it.fleet.scale(0))
    it.unready = set()
    it.do(reload)
    it.poll()
    it.poll()
    assert it.fleet.current == it.alive == []


def test_the_last_number_counts() -> None:
    """The earlier request gets an answer."""
    it = Supervisord(1)
    it.unready = {"worker-1"}
    first = it.fleet.scale(2)
    it.poll()
    second = it.fleet.scale(1)
    assert first.failure == "another number was asked for meanwhile"
    it.do(second)
    it.poll()
    assert it.alive == ["worker-0"]


def test_who_has_given_way_and_takes_its_time_is_not_waited_for_by_the_next_reload() -> None:
    """The first is done but for old connections; that the second cannot start is no failure of the first."""
    it = Supervisord(1)
    it.slow = {"worker-0"}
    first = it.fleet.replace_all()
    assert it.fleet.still_here(first)
    it.poll_until(lambda: it.fleet.current == ["worker-1"])
    assert not it.fleet.still_here(first)
    assert not first.over
    it.broken = {"worker-2"}
    it.now = LEAVE_TIMEOUT_S
    assert it.do(it.fleet.replace_all()).failure
    assert not first.over
    it.states["worker-0"] = STOP
    assert not it.do(first).failure


def test_requests_stand_in_the_same_queue() -> None:
    """Never all workers at once, also when all of them reach their limit at the same moment."""
    it = Supervisord(3)
    assert [it.fleet.request_replacement(name, 0) for name in (*it.fleet.current, "worker-0", "worker-5")] == [
        True
    ] * 3 + [False] * 2
    it.poll_until(lambda: not it.fleet.busy)
    it.poll()
    assert (len(it.started), it.ready_min, len(it.alive)) == (3, 3, 3)


def test_a_request_that_could_not_be_granted_is_granted_later() -> None:
    """The code on the disk may be broken: the worker serves on, and nothing loops."""
    it = Supervisord(1)
    it.broken = {"worker-1"}
    assert it.fleet.request_replacement("worker-0", it.now)
    it.poll_until(lambda: it.failures)
    assert it.failures == ["worker-1 could not start: no database; the old ones stay"]
    assert not it.fleet.request_replacement("worker-0", it.now + REQUESTS_IGNORED_S - 1)
    assert it.fleet.request_replacement("worker-0", it.now + REQUESTS_IGNORED_S)


@pytest.mark.parametrize(
    ("again", "how"),
    [
        (Process(name="worker-1", state="BACKOFF", end="left with exit status 5"), "left with exit status 5"),
        (Process(name="worker-1", state="RUNNING", pid=8), "ended"),
    ],
)
def test_who_ends_while_it_starts_is_not_tried_again(again: Process, how: str) -> None:
    """Others serve meanwhile, and the request is answered. supervisord may be quicker than the next poll."""
    fleet = Fleet(SLOTS[:2], 1)
    job, old = fleet.replace_all(), Process(name="worker-0", state="RUNNING", pid=1)
    for process in (Process(name="worker-1", state="STOPPED"), Process(name="worker-1", state="STARTING", pid=7)):
        fleet.advance({"worker-0": old, "worker-1": process}, frozenset({1}), 0.0)
        assert not job.over
    commands = fleet.advance({"worker-0": old, "worker-1": again}, frozenset({1, 8}), 0.0)
    assert job.failure == f"worker-1 {how} while it started; the old ones stay"
    assert commands.stop == ("worker-1",)
    assert fleet.current == ["worker-0"]


def test_a_slot_moves_only_where_the_table_allows_it() -> None:
    """A process that has not started cannot serve, and one that was asked to leave does not come back without having gone."""
    slot = Slot(name="worker-0", state=SlotState.LEAVING, rank=0)
    for state in (SlotState.CURRENT, SlotState.STARTING):
        with pytest.raises(IllegalMove, match="worker-0 cannot go from LEAVING"):
            slot.move(state)
    slot.move(SlotState.IDLE)
    with pytest.raises(IllegalMove, match="worker-0 cannot go from IDLE"):
        slot.move(SlotState.CURRENT)
