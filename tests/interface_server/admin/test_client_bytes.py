"""The bytes of clients: open and closed ones, and a sum that never becomes less."""

from __future__ import annotations

from interface_server.admin.client_bytes import ClientBytes


class Line:
    """A transport that has written so much."""

    def __init__(self, written_bytes: int) -> None:
        self.written_bytes = written_bytes


def test_open_and_closed_transports_count() -> None:
    meter, first, second = ClientBytes(), Line(10), Line(20)
    meter.opened(first)
    meter.opened(second)
    meter.received_bytes += 7
    assert dict(meter.items()) == {"received": 7, "sent": 30}
    second.written_bytes = 25
    meter.closed(second)
    meter.closed(second)
    assert dict(meter.items()) == {"received": 7, "sent": 35}


def test_a_transport_that_was_not_admitted_does_not_count() -> None:
    meter = ClientBytes()
    meter.closed(Line(10))
    assert dict(meter.items()) == {"received": 0, "sent": 0}


def test_what_was_shown_never_becomes_less() -> None:
    """A reader in another thread may meet a transport while it closes."""
    meter, line = ClientBytes(), Line(10)
    meter.opened(line)
    assert dict(meter.items())["sent"] == 10
    line.written_bytes = 0
    assert dict(meter.items())["sent"] == 10
