"""When `serve` restarts processes that supervisord has given up. No process, no clock."""

from __future__ import annotations

import itertools

from towpath.fleet.restart_backoff import RestartBackoff


def test_who_cannot_start_is_tried_after_pauses_that_grow_and_not_for_ever_less() -> None:
    """However long each try takes; a process that has lived for long in between is tried soon again."""
    retries, tried, now = RestartBackoff(), [], 100.0
    while len(tried) < 6:
        if retries.due(["worker-0"], now):
            tried.append(now)
            now += 20.0  # the import
        now += 0.5
    between = [later - earlier - 20.5 for earlier, later in itertools.pairwise(tried)]
    assert between == [2.0, 4.0, 8.0, 10.0, 10.0]
    now = tried[-1] + 3600
    assert (retries.due(["worker-0"], now), retries.due(["worker-0"], now + 1.0)) == ([], ["worker-0"])


def test_whose_start_failed_through_nobodys_fault_is_tried_at_once_when_that_is_over() -> None:
    """P9. Redis may be away for an hour; then it is back, and no pause that has grown meanwhile is to be waited for."""
    retries = RestartBackoff()
    times = [now for now in range(100) if retries.due(["worker-0"], now)]
    assert times[-1] - times[-2] > 8
    retries.excuse(["worker-0"], 100.0)
    assert retries.due(["worker-0"], 100.0) == ["worker-0"]
    assert (retries.due(["worker-0"], 101.0), retries.due(["worker-0"], 102.0)) == ([], ["worker-0"])
