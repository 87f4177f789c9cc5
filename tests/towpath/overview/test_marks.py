"""Marks of one process: what an operator should know of it."""

from __future__ import annotations

from typing import Any

import pytest

from towpath.overview.marks import blocked_s, has_free_place, lag_ms, marks

FREE, NONE_FREE = {"http": 3, "websocket": 9}, {"http": 0, "websocket": 9}


@pytest.mark.parametrize(
    ("lease", "marked"),
    [
        ({}, ()),
        ({"free": FREE, "lag_ms": 49.9, "blocked_s": 0.0, "draining": False}, ()),
        ({"free": FREE, "lag_ms": 50.0}, ("slow 50 ms",)),
        ({"free": NONE_FREE}, ("full",)),
        ({"free": NONE_FREE, "lag_ms": 80.2}, ("slow 80 ms", "full")),
        ({"free": NONE_FREE, "draining": True, "gives_way": True}, ("draining",)),
        ({"free": FREE, "gives_way": True}, ("gives way",)),
        ({"free": NONE_FREE, "blocked_s": 7.2, "lag_ms": 7200}, ("blocked 7 s",)),
        ({"free": "many", "lag_ms": "late", "blocked_s": ["long"]}, ()),
    ],
)
def test_what_a_process_is_marked_as(lease: dict[str, Any], marked: tuple[str, ...]) -> None:
    """On both sides of each limit; of a blocked loop all else follows."""
    assert marks(lease) == marked


def test_a_lease_may_contain_anything() -> None:
    """What is no figure counts as none."""
    odd = {"free": {"http": "3"}, "lag_ms": None, "blocked_s": {}}
    assert (has_free_place(odd, "http"), lag_ms(odd), blocked_s(odd)) == (False, 0.0, 0.0)
