"""What the bench reads in wrk's report."""

from __future__ import annotations

import pytest

from benchmarks.turns import LoadFailed
from benchmarks.wrk_load import _ms, _number

REPORT = """Running 2s test @ http://127.0.0.1:8000/
  Latency Distribution
     50%  612.00us
     75%    1.51ms
     90%    5.02ms
     99%    1.20s
  41010 requests in 2.00s, 5.16MB read
Requests/sec:  20495.71
"""


def test_times_are_milliseconds_whatever_their_unit() -> None:
    assert [_ms(percent, REPORT) for percent in (50, 75, 99)] == [0.612, 1.51, 1200.0]


def test_rates_and_counts_are_found() -> None:
    assert _number(r"Requests/sec: +([\d.]+)", REPORT) == 20495.71
    assert _number(r"(\d+) requests in", REPORT) == 41010


def test_a_report_without_them_is_a_failed_load() -> None:
    with pytest.raises(LoadFailed, match="unable to connect"):
        _ms(50, "unable to connect to 127.0.0.1:1 Connection refused")
