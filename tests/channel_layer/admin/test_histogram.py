"""What Prometheus' own histogram counts, ours counts."""

from __future__ import annotations

import math
from itertools import pairwise

from prometheus_client import Histogram as Theirs

from channel_layer.admin.histogram import BOUNDS_S, Histogram


def test_the_bounds_are_those_that_dashboards_expect() -> None:
    """The defaults of Prometheus' libraries."""
    assert BOUNDS_S == Theirs.DEFAULT_BUCKETS


def test_a_duration_counts_below_its_bound_and_each_larger_one() -> None:
    """Also one that is exactly as long as a bound, and one that is longer than all."""
    histogram = Histogram()
    for seconds in (0.0, 0.005, 0.006, 1.0, 1000.0):
        histogram.observe(seconds)
    counts = dict(histogram.at_most())
    assert [counts[bound] for bound in (0.005, 0.01, 0.75, 1.0, 10.0, math.inf)] == [2, 3, 3, 4, 4, 5]
    assert histogram.sum_s == 1001.011


def test_counts_never_fall_from_a_bound_to_the_next() -> None:
    """A rule of the format."""
    histogram = Histogram()
    for number in range(200):
        histogram.observe(number / 10)
    assert all(less <= more for (_, less), (_, more) in pairwise(histogram.at_most()))
