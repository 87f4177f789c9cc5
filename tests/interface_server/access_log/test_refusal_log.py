"""The lines about requests that are refused: one at the beginning, one each minute, one at the end, with figures."""

from __future__ import annotations

import logging
from collections import Counter

import pytest

from interface_server.access_log.refusal_log import is_invalid, is_unserved, refusal_logs


@pytest.fixture(autouse=True)
def heard(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "towpath.interface")


def test_a_site_that_answers_503_says_so_at_once_each_minute_and_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    """With what was counted since the beginning, and nothing from before it."""
    counters = Counter({"ended.full": 5, "ended.died": 1})
    unserved, _ = refusal_logs(counters)
    for second in range(100):
        if 10 <= second < 80:
            counters["ended.full"] += 2
            counters["ended.unavailable"] += second == 10
        counters["ended.finished"] += 100
        unserved.check(float(second))
    assert caplog.messages == [
        "requests are answered 503: 3 (ended.full 2, ended.unavailable 1)",
        "requests are answered 503, for 60 s by now: 123 (ended.full 122, ended.unavailable 1)",
        "requests are answered 503: no more, after 80 s; 141 (ended.full 140, ended.unavailable 1)",
    ]


def test_a_few_invalid_requests_are_no_news_and_a_stream_of_them_is(caplog: pytest.LogCaptureFixture) -> None:
    """A scanner sends some to every server; each has its line in the access log."""
    counters: Counter[str] = Counter()
    _, invalid = refusal_logs(counters)
    for second in range(60):
        counters["refused.malformed"] += second in (2, 4, 6, 7)
        if 20 <= second < 30:
            counters["refused.target_too_long"] += 3
        invalid.check(float(second))
    assert caplog.messages == [
        "requests are refused as invalid, too slow or too large: 12 (refused.target_too_long 12)",
        "requests are refused as invalid, too slow or too large: no more, after 20 s; 30 (refused.target_too_long 30)",
    ]


def test_each_counter_belongs_to_one_line_at_most() -> None:
    """What an application decides, and what is late in the application, is no refusal of ours."""
    assert is_unserved("refused.limit_concurrency") and not is_invalid("refused.limit_concurrency")
    assert is_unserved("ended.late") and is_unserved("refused.websocket_503")
    assert is_invalid("refused.head_timeout") and is_invalid("refused.websocket_body")
    for neither in ("refused.websocket_403", "refused.response_timeout", "ended.died", "refused.no_descriptor"):
        assert not is_unserved(neither) and not is_invalid(neither)
