"""Who is slow, in numbers alone."""

from __future__ import annotations

from interface_server.transport.slow_consumers import SlowConsumers


class Transport:
    def __init__(self) -> None:
        self.written_bytes = 0
        self.acknowledged = 0

    def acknowledged_bytes(self) -> int:
        return self.acknowledged


def watched(timeout_s: float = 30.0) -> tuple[SlowConsumers, Transport, list[str]]:
    watch, transport, said = SlowConsumers(timeout_s), Transport(), list[str]()
    transport.written_bytes = 3_000_000
    watch.watch(transport, 0.0, lambda: said.append("slow"))
    return watch, transport, said


def test_slow_is_who_has_not_taken_in_time_what_waited_at_its_beginning() -> None:
    """P5. Once, at the end of the time and not before."""
    watch, transport, said = watched()
    transport.acknowledged = 2_999_999
    watch.check(29.9)
    assert said == []
    watch.check(30.0)
    watch.check(31.0)
    assert said == ["slow"] and len(watch) == 0


def test_who_keeps_up_is_never_slow_however_much_is_under_way() -> None:
    """P5. Always three megabytes behind, and each of them taken in time."""
    watch, transport, said = watched()
    for second in range(0, 600, 20):
        transport.acknowledged = transport.written_bytes
        transport.written_bytes += 3_000_000
        watch.check(float(second))
        watch.watch(transport, float(second), lambda: said.append("watched anew"))
    assert said == []


def test_without_a_time_nobody_is_slow() -> None:
    watch, _, said = watched(timeout_s=0.0)
    watch.check(1000.0)
    assert said == [] and len(watch) == 0


def test_who_is_forgotten_is_never_slow() -> None:
    watch, transport, said = watched()
    watch.forget(transport)
    watch.check(1000.0)
    assert said == []
