"""How often the sender of a message that no client gets is told."""

from __future__ import annotations

from channel_layer.protocol.names import BLOCKING_SENDER
from interface_server.groups.undeliverable_notices import NOTICES_MAX, PERIOD_S, UndeliverableNotices

SENDER = "worker.0123456789ab"


def test_a_sender_is_told_the_same_once_in_a_period() -> None:
    """P5. Another sender, connection or type is told at once."""
    notices = UndeliverableNotices()
    assert notices.is_due(SENDER, 7, "", 100.0)
    assert not any(notices.is_due(SENDER, 7, "", 100.0 + PERIOD_S * part / 100) for part in range(100))
    assert notices.is_due(SENDER, 8, "", 100.1)
    assert notices.is_due(SENDER, 7, "websocket.send", 100.1)
    assert notices.is_due("layer.0123456789ab", 7, "", 100.1)
    assert notices.is_due(SENDER, 7, "", 100.0 + PERIOD_S)


def test_a_program_without_an_inbox_is_never_told() -> None:
    """The packet would wait for an inbox that nobody makes."""
    assert not UndeliverableNotices().is_due(BLOCKING_SENDER, 7, "", 100.0)
    assert UndeliverableNotices().is_due("blocking.0123456789ab", 7, "", 100.0), "a request waits for its answer"


def test_there_is_a_bound_for_all_senders_together() -> None:
    """P5. The next period begins anew."""
    notices = UndeliverableNotices()
    told = sum(notices.is_due(SENDER, number, "", 100.0) for number in range(NOTICES_MAX + 100))
    assert told == NOTICES_MAX
    assert notices.is_due(SENDER, NOTICES_MAX + 50, "", 100.0 + PERIOD_S)
