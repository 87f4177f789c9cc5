"""Clients that acknowledge nothing: when they count as stalled."""

from __future__ import annotations

from interface_server.transport.write_timeout import WriteTimeouts


class Taker:
    """A transport that has acknowledged what the test says."""

    def __init__(self) -> None:
        self.acknowledged = 0

    def acknowledged_bytes(self) -> int:
        return self.acknowledged


def test_stalled_is_who_acknowledges_nothing_for_the_whole_time():
    """P5. One byte in time is enough; watching again does not begin anew; it is said once."""
    watch, taker, said = WriteTimeouts(60.0), Taker(), []
    watch.watch(taker, 0.0, lambda: said.append("stalled"))
    watch.check(59.0)
    taker.acknowledged = 1
    watch.check(59.9)
    watch.watch(taker, 100.0, lambda: said.append("never"))
    watch.check(119.0)
    assert said == []
    watch.check(120.0)
    watch.check(500.0)
    assert said == ["stalled"]
    assert len(watch) == 0


def test_whoever_is_forgotten_is_never_called_stalled():
    watch, taker, said = WriteTimeouts(1.0), Taker(), []
    watch.watch(taker, 0.0, lambda: said.append("stalled"))
    watch.forget(taker)
    watch.check(10.0)
    assert said == []
