"""When people are told that a connection to Redis is lost, and that it is back."""

from __future__ import annotations

import logging

import pytest

from channel_layer.redis_absence import Absence

LOST, BACK = "lost the connection to Redis (inbox)", "connected to Redis again (inbox)"


def test_what_is_ended_on_purpose_soon_after_a_loss_is_no_news_either(caplog: pytest.LogCaptureFixture) -> None:
    """The looks that missed the one say nothing about the other, which has as long to come back as any."""
    caplog.set_level(logging.INFO, "towpath")
    absence = Absence("inbox")
    absence.lost()
    absence.missed()
    absence.over()
    assert caplog.messages == [LOST, BACK]
    absence.expect()
    absence.lost()
    absence.missed()
    assert caplog.messages == [LOST, BACK]
    absence.missed()
    absence.missed()
    assert caplog.messages == [LOST, BACK, LOST]
