"""Who leaves WebSockets to others, by the leases: decisions without a server."""

from __future__ import annotations

from typing import Any

import pytest

from worker.placement import is_laden, willing


@pytest.mark.parametrize(
    ("own", "others", "expected"),
    [
        (20_000, [], False),  # alone: to whom?
        (1000, [0], True),
        (0, [1000], False),
        (50, [0], False),  # a few more are no burden
        (1000, [1000, 1000], False),
        (1400, [1000, 1000, 1000], False),  # not yet a quarter above the mean, and some
        (1600, [1000, 1000, 1000], True),
    ],
)
def test_only_who_has_clearly_more_than_the_mean_is_laden(own: int, others: list[int], expected: bool) -> None:
    """P7. Sockets that are handed off come to those that have room in their hands."""
    assert is_laden(own, others) is expected


def test_not_all_can_be_laden() -> None:
    """A socket never waits because everybody declines: whoever has the mean or less does not."""
    for counts in ([500, 500], [0, 10_000], [1, 2, 3, 40_000], [7000, 7000, 0]):
        laden = [is_laden(own, counts[:place] + counts[place + 1 :]) for place, own in enumerate(counts)]
        assert not all(laden)


def lease(**more: Any) -> dict[str, Any]:
    return {"role": "worker", "websockets": 5, "free": {"http": 1, "websocket": 10}, **more}


@pytest.mark.parametrize(
    "unfit",
    [
        {"draining": True},
        {"gives_way": True},
        {"blocked_s": 3.0},
        {"free": {"http": 1, "websocket": 0}},
        {"free": {}},
        {"free": None},
        {"websockets": "many"},
        {"websockets": None},
    ],
)
def test_who_could_not_take_one_is_not_counted(unfit: dict[str, Any]) -> None:
    """P6. Nothing is left to those that would leave it too; and what strangers write into their leases harms nobody."""
    assert willing([lease(), lease(**unfit), lease(websockets=7, draining=False, blocked_s=0.0)]) == [5, 7]
