"""Capacities: the default, globs, compiled expressions, the first match; and what is refused."""

from __future__ import annotations

import math
import re

import pytest

from channel_layer.application.capacities import LayerSettings


def test_a_channel_without_a_pattern_has_the_default() -> None:
    assert LayerSettings().capacities.of("thumbnails") == 100
    assert LayerSettings(capacity=7).capacities.of("thumbnails") == 7


def test_the_first_pattern_that_matches_counts() -> None:
    """Channels specification, "Capacity": globs, and compiled regular expressions that match from the beginning."""
    patterns = {"http.*": 200, re.compile(r"email\.\w+$"): 5, "*": 3, "email.urgent": 1}
    capacities = LayerSettings(channel_capacity=patterns).capacities
    assert [capacities.of(name) for name in ("http.x", "email.urgent", "an.email.urgent")] == [200, 5, 3]


@pytest.mark.parametrize(
    "bad",
    [
        {"capacity": 0},
        {"capacity": "100"},
        {"capacity": True},
        {"channel_capacity": {"x": -1}},
        {"channel_capacity": [("x", 1)]},
        {"channel_capacity": {3: 1}},
        {"channel_capacity": {re.compile(b"x"): 1}},
        {"expiry_s": 0},
        {"expiry_s": math.inf},
        {"expiry_s": math.nan},
        {"expiry_s": 1e300},
        {"expiry_s": True},
        {"group_expiry_s": "day"},
        {"group_expiry_s": True},
    ],
)
def test_a_value_that_is_none_is_refused_with_its_name(bad: dict[str, object]) -> None:
    """P12."""
    with pytest.raises(ValueError, match=r"capacity|expiry"):
        LayerSettings(**bad)  # type: ignore[arg-type]


def test_an_expiry_travels_in_whole_milliseconds_and_is_never_0() -> None:
    assert LayerSettings(expiry_s=1.5).expiry_ms == 1_500
    assert LayerSettings(expiry_s=0.0001).expiry_ms == 1
