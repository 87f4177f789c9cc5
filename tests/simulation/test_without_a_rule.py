"""What the simulation is worth: with one rule of the wire switched off, some schedule breaks a promise.

Not asked of the search here, since no promise is at stake or the schedule is too rare:

* rare (about one schedule in a thousand): the owner is compared beside the epoch, and the epoch beside the owner; the epoch grows when a
  connection is queued again; a connection lost with its greeting; what is told to the dead leaves.
* no promise breaks, users pay (a 502 that was not needed): only who holds a lease may judge; the inbox is read up before a death is
  acted upon; who left before its place was known is withdrawn.
* out of reach while Redis keeps its data and our commands keep their order: never again after an unanswered take; never two takes of one
  connection; strays are answered by the worker too.
"""

from __future__ import annotations

import pytest

from tests.simulation.rules import RULES
from tests.simulation.schedules import first_broken_without

#: By rule: seeds that were seen to break without it. They are tried first, and then the others in their order.
LIKELY = {
    "a packet seen before is dropped, by the interface server": ("150", "166"),
    "a packet seen before is dropped, by the worker": ("121", "144"),
    "stray packets are answered, by the interface server": ("2", "4"),
    "an unanswered take is told to be not started": ("114", "195"),
    "packets are held during a take in flight": ("0", "33"),
    "`open` is never sent twice": ("105", "154"),
    "what must not start twice is not queued again on doubt": ("154", "207"),
    "what was forwarded is kept until the instance shows life": ("114", "241"),
    "a batch without an answer is sent again": ("27", "29"),
    "deaths are noticed": ("18", "19"),
}
SEARCHED_MAX = 600


@pytest.mark.parametrize("rule", LIKELY)
def test_without_this_rule_a_promise_breaks(rule: str) -> None:
    """P1, P2, P3, P8: each rule is there for a reason, and the simulation knows it."""
    assert rule in RULES
    assert first_broken_without(rule, [*LIKELY[rule], *map(str, range(SEARCHED_MAX))]), f"nothing broke without: {rule}"
