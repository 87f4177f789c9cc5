"""What the simulation is worth: with one rule of the protocol switched off, some schedule breaks a promise.

Not asked of the search here, since no promise is at stake, another rule stands in, or the schedule is too rare:

* rare (less than one schedule in a thousand): the owner is compared beside the epoch; nothing is started again after a third death
  (told on real processes by tests/promises/test_p06_dead_worker.py); who is adopted late is asked whether anything is lost (told by
  tests/integration/test_adopted_late.py).
* rare: where Redis may have lost acknowledgements, all counts as begun (it takes a loss in the moment between an acknowledgement and its
  reading, and then the death of that worker on the same machine).
* another rule stands in: a process that is declared dead and lives learns it three times over, since the death is announced, since a
  process that hears of its own death sends `sync`, and since stale packets are answered; so none of these alone is missed: the dead
  are told (by either side), what is told to them leaves, deaths are announced, a process that hears of its own death resyncs, a
  process that finds its lease missing resyncs (after a reconnect all have resynced already).
* another rule stands in: who takes is told by the take itself. Where a worker says so on its own, and dies before it has, whoever waits
  finds its entry gone when its wait is over, and gives up a lease later: a 502 that comes late, and no connection that hangs.
* no promise breaks, users pay (a 502 that was not needed, or a wait for nothing): what a worker that left had not
  acknowledged was not begun; only who holds a lease may judge; who left before its
  place was known is withdrawn; what was queued in another era is queued again; the inbox is made before anything is opened; a worker
  claims what it has read itself (else, where there is no other worker, 503 at the end of the wait); nobody fences itself (else an outage
  of Redis as long as most of a lease ends whatever is under way).
* out of reach while our commands keep their order: never again after an unanswered take; never two takes of one connection.
"""

from __future__ import annotations

import pytest

from tests.simulation.rules import RULES, switched_off
from tests.simulation.schedules import first_broken_without, run

#: By rule: seeds that were seen to break without it. They are tried first, and then the others in their order.
LIKELY = {
    "a packet seen before is dropped, by the interface server": ("11",),
    "a packet seen before is dropped, by the worker": ("11", "21"),
    "stale packets are answered, by the interface server": ("9", "11"),
    "stale packets are answered, by the worker": ("224", "422"),
    "the epoch is compared beside the owner": ("talks 313", "talks 612"),
    "the epoch grows when a connection is queued again": ("1", "8"),
    "an unanswered take is told to be not started": ("120", "306"),
    "packets are held during a take in flight": ("27", "39"),
    "`open` is never sent twice": ("1160", "1556"),
    "what must not start twice is not queued again while its outcome is unknown": ("1160",),
    "what was forwarded is kept until the instance shows life": ("1", "8"),
    "a batch without an answer is sent again": ("96", "106"),
    "the inbox is read up before a death is acted upon": ("39", "447"),
    "deaths are noticed": ("10", "17"),
    "a worker takes what is of its own era": ("1146", "1237"),
    "`sync` at every resync": ("21", "224"),
    "a hand-off keeps what was not consumed": ("101", "247"),
    "a hand-off repeats nothing that was consumed": ("1", "3"),
    "a hand-off is answered": ("340", "1138"),
    "the name of a node is new at every start": ("58", "83"),
    "the second accept is swallowed": ("1", "3"),
    "what the dead had is not repeated": ("34",),
    "a worker that leaves refuses what waits for it alone": ("sticky 134", "sticky 135"),
    "what waits for a worker that died is queued for all": ("sticky 30", "sticky 35"),
    "what is pushed waits for the accept": ("talks 0", "talks 1"),
    "a message to a group waits for its place": ("talks 0", "talks 1"),
    "packets wait for the message to a group before them": ("talks 0", "talks 6"),
    "what was sent leaves before what the layer sends": ("talks 0", "talks 1"),
    "what the layer has sent is counted": ("talks 5", "talks 12"),
    "counters are read when a subscription stands again": ("storms, talks 135", "storms, talks 193"),
    "after a crash only who asked for that is resumed": ("2",),
    "a request that is read twice begins once": ("direct rush storms 19", "direct rush storms 34"),
    "what may start only once begins when its acknowledgement is confirmed": (
        "direct rush storms 36",
        "direct rush storms 38",
    ),
    "what has begun is not given back": ("direct rush kills 0", "direct rush kills 1", "direct rush storms 2"),
    "what Redis may have is not withdrawn when it is refused later": (
        "direct, rush, full, storms 89",
        "direct, rush, full, storms 121",
    ),
    "whose `open` is withdrawn learns it": ("direct, full 0", "direct, rush, full 3"),
    "what may start only once is asked back, and not taken": ("direct rush storms 0", "direct rush storms 43"),
}
SEARCHED_MAX = 600
#: By rule without which no promise breaks: how those end who pay for it, and seeds in which some were seen to.
PRICE = {
    "a worker claims what it has read itself": ("LATE", ("8",)),
    "nobody fences itself": ("DIED", ("11", "46", "21")),
}


@pytest.mark.parametrize("rule", LIKELY)
def test_without_this_rule_a_promise_breaks(rule: str) -> None:
    """P1, P2, P3, P6, P7, P8, P9, P10: each rule is there for a reason, and the simulation knows it."""
    assert rule in RULES
    assert first_broken_without(rule, [*LIKELY[rule], *map(str, range(SEARCHED_MAX))]), f"nothing broke without: {rule}"


@pytest.mark.parametrize("rule", PRICE)
def test_without_this_rule_more_clients_are_told_no(rule: str) -> None:
    """P6, P9: what was not lost is not ended. Counted over all schedules that were tried, since with the rule some end so too."""
    how, likely = PRICE[rule]
    with_it = without_it = 0
    for seed in (*likely, *map(str, range(SEARCHED_MAX))):
        with_it += ended(seed, how)
        with switched_off(rule):
            without_it += ended(seed, how)
        if without_it > with_it:
            return
    raise AssertionError(f"nobody paid for having no: {rule}")


def ended(seed: str, how: str) -> int:
    """How many clients of this schedule ended so."""
    return sum(client.over == how for client in run(seed)[0].clients)
