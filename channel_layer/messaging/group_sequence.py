"""The numbers of the messages to groups, from which a process learns how many messages it has missed.

Each message to a group carries the next number of the group's counter in Redis. As long as a subscription stands, its numbers are
consecutive. When it stands again after an interruption, the difference to the counter is what was missed meanwhile.

A counter ends an hour after the last message, or with Redis' data. The next one begins with Redis' time in quarters of a second,
multiplied by NUMBERS_PER_BEGINNING. So its numbers are far beyond those of all earlier counters, and what it has counted since its
beginning is the remainder. Hence a reader may remember a number for as long as it likes. Four things cannot be counted:

* what a counter has counted before it ended, while nobody here was subscribed;
* messages whose numbers a fail-over has lost, because the replica had not got them: the next ones have the same numbers again;
* messages of two counters that began within the same quarter of a second, because Redis was emptied in between;
* messages before the first number that is known of a group: at most those of the first round trip after its first subscription.

No I/O. PROTOCOL.md, "Groups", P10.
"""

from __future__ import annotations

from typing import Final

#: How long a counter outlives the last message to its group.
COUNTER_TTL_MS: Final = 3_600_000
#: Also in publish.lua.
NUMBERS_PER_BEGINNING: Final = 524_288
#: A larger step leads to another counter. No application sends so many messages to a group during one interruption, and no Redis
#: executes so many within a quarter of a second.
STEP_MAX: Final = NUMBERS_PER_BEGINNING // 2


def count_missed(last: int, counter: int) -> int:
    """The messages after number `last`, up to number `counter`. At least so many, where it is the number of another counter."""
    step = counter - last
    if abs(step) < STEP_MAX:
        return max(step, 0)  # negative after a fail-over to a replica that was behind
    return counter % NUMBERS_PER_BEGINNING  # backwards too: the clock of another server may be behind


class GroupSequences:
    """The last number that is known of each group to which this process is subscribed."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last: dict[str, int | None] = {}  # None: not known yet

    def follow(self, group: str) -> None:
        """Remember the numbers of a group from now on."""
        self._last.setdefault(group, None)

    def forget(self, group: str) -> None:
        """Forget a group: its last member here has gone."""
        self._last.pop(group, None)

    def on_message(self, group: str, number: int) -> int:
        """Remember the number of a message that has come. Returns how many were missed before it."""
        last = self._last.get(group)
        if last is not None:
            self._last[group] = number
            return 0 if number == last + 1 else count_missed(last, number - 1)
        if group in self._last:  # not if its last member has gone
            self._last[group] = number
        return 0

    def on_counter(self, group: str, counter: int) -> int:
        """Compare with a counter that was read after the group's subscription stood. Returns how many messages have not come yet.

        Those that were published just before the counter was read may be under way; see `settle`. counter: 0 if there is none.
        """
        if group not in self._last:
            return 0
        last = self._last[group]
        if last is None:
            self._last[group] = counter
            return 0
        return count_missed(last, counter)

    def settle(self, group: str, counter: int) -> int:
        """Compare again once everything published before the counter was read has come. Returns how many messages were missed."""
        last = self._last.get(group)
        missed = 0 if last is None else count_missed(last, counter)
        if missed:
            self._last[group] = counter
        return missed
