"""A worker without a supervisor: every question has the answer that lets it go on by itself."""

from __future__ import annotations

from worker.lifecycle.supervision import Unsupervised


async def test_a_worker_that_runs_alone_gets_no_successor_and_waits_for_nothing() -> None:
    """So it leaves at once when it is asked to, and is never paused."""
    alone = Unsupervised()
    paused: list[bool] = []
    assert not alone.ask_for_successor("it has grown too large")
    assert not alone.may_repeat_stop_signal
    alone.has_loaded()
    alone.report_ready()
    alone.report_stopping()
    await alone.dismissal()
    await alone.follow(paused.append)
    assert paused == []
