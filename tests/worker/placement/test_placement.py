"""Which worker leaves WebSockets to others, by the leases: decisions without a server."""

from __future__ import annotations

from typing import Any

import pytest

from channel_layer.messaging.generations import DEFER_TO_NEWER_S
from worker.placement.placement import (
    ASKING_S,
    BOUND_EXTRA,
    DEFER_S,
    DEFER_TIMES_MAX,
    SETTLED_S,
    Placement,
    bound_of,
    share_of,
)

LATER = 100.0


def worker(websockets: Any = 5, **more: Any) -> dict[str, Any]:
    return {"role": "worker", "websockets": websockets, "free": {"http": 1, "websocket": 10}, **more}


def interface(websockets: Any) -> dict[str, Any]:
    return {"role": "interface", "websockets": websockets}


def placed(own: int, *leases: dict[str, Any]) -> Placement:
    """A worker that has been there for long, and knows of these others."""
    placement = Placement()
    for now in (0.0, LATER):
        placement.update(own, leases, now)
    return placement


def should_defer(own: int, others: list[int]) -> bool:
    placement = placed(own, interface(own + sum(others)), *map(worker, others))
    return placement.defer_s(own, yields_to_newer=False) > 0


@pytest.mark.parametrize(
    ("own", "others", "expected"),
    [
        (20_000, [], False),  # alone: to whom?
        (1000, [0], True),
        (0, [1000], False),
        (9, [0], False),  # a few more are no burden
        (12, [0], True),
        (1000, [1000, 1000], False),
        (1100, [1000, 1000, 1000], False),  # not yet a tenth above the mean
        (1150, [1000, 1000, 1000], True),
    ],
)
def test_only_a_worker_with_more_than_the_mean_defers(own: int, others: list[int], expected: bool) -> None:
    """P7. Sockets that are handed off come to workers that have free capacity."""
    assert should_defer(own, others) is expected


def test_a_worker_that_is_alone_never_defers() -> None:
    """P7. Its own figures are half a second old: what comes at once would wait for nobody."""
    assert placed(0, interface(0)).defer_s(300, yields_to_newer=False) == 0.0


def test_not_all_can_decline() -> None:
    """A socket never waits because all defer: a worker with the mean or less does not."""
    for counts in ([500, 500], [0, 10_000], [1, 2, 3, 40_000], [7000, 7000, 0]):
        assert not all(should_defer(own, counts[:place] + counts[place + 1 :]) for place, own in enumerate(counts))


def test_the_mean_stays_the_same_while_sockets_go_from_one_worker_to_another() -> None:
    """P7. Leases are late: what was handed over stands in two of them for a while, or in none."""
    before = placed(0, interface(700), worker(200), worker(200), worker(200, draining=True))
    twice = placed(200, interface(700), worker(200), worker(200), worker(200, draining=True))
    nowhere = placed(0, interface(700), worker(200), worker(200))
    assert before.share == twice.share == nowhere.share == share_of(700 / 3)


def test_a_new_worker_may_take_what_its_predecessor_had() -> None:
    """P7. It is one more as long as that has not said that it leaves: four and a new one are four."""
    successor = Placement()
    successor.update(0, [interface(800), *(worker(200) for _ in range(4))], 0.0)
    assert successor.share == share_of(200)
    assert successor.count(0, wanted=16) == 16
    assert successor.count(215, wanted=16) < 16


def test_a_worker_that_leaves_counts_until_its_successor_is_known() -> None:
    """P7. Else the others would think for a second that there are fewer, and take more than their share."""
    one = placed(200, interface(800), *(worker(200) for _ in range(3)))
    one.update(200, [interface(800), worker(200), worker(200), worker(200, draining=True)], LATER + 1)
    assert one.share == share_of(200)
    one.update(200, [interface(800), worker(200), worker(200)], LATER + 1 + SETTLED_S)
    assert one.share == share_of(800 / 3)


def test_the_more_a_worker_has_the_longer_it_leaves_what_comes_but_never_for_long() -> None:
    """P7. Where all have more than their share, since figures are late, the one with the fewest comes first."""
    placement = placed(100, interface(400), *(worker(100) for _ in range(3)))
    just, twice = int(placement.share) + 1, int(2 * placement.share)
    assert DEFER_S <= placement.defer_s(just, yields_to_newer=False) < placement.defer_s(twice, yields_to_newer=False)
    assert placement.defer_s(10_000, yields_to_newer=False) == DEFER_S * DEFER_TIMES_MAX


def test_an_old_generation_yields_until_all_of_the_new_one_are_at_their_bound() -> None:
    """P7. Each socket moves once; but one new worker that has begun alone shall not get all that comes for a minute."""
    early = placed(100, interface(400), worker(100, gives_way=True), worker(100))
    assert early.defer_s(100, yields_to_newer=True) == DEFER_TO_NEWER_S
    late = placed(100, interface(400), worker(100, gives_way=True), worker(250))
    assert late.defer_s(100, yields_to_newer=True) == 0.0
    not_known = placed(100, interface(400), worker(100, gives_way=True))
    assert not_known.defer_s(100, yields_to_newer=True) == DEFER_TO_NEWER_S


@pytest.mark.parametrize(
    "unfit",
    [
        {"blocked_s": 3.0},
        {"free": {"http": 1, "websocket": 0}},
        {"free": {}},
        {"free": None},
        {"websockets": "many"},
        {"websockets": None},
    ],
)
def test_a_worker_that_could_not_take_one_is_not_counted(unfit: dict[str, Any]) -> None:
    """P6. Nothing is left to those that would leave it too; and what strangers write into their leases harms nobody."""
    assert placed(5, interface(30), worker(), {**worker(), **unfit}).takers == [5]
    assert placed(5, interface(30), worker(), {**worker(), **unfit}).share == share_of(15)


def test_interface_servers_that_do_not_say_what_they_hold_are_made_up_for() -> None:
    """An upgrade begins with workers or with interface servers, as one likes."""
    assert placed(100, {"role": "interface"}, worker(300)).share == share_of(200)


def test_what_others_hold_is_asked_by_who_is_new_and_as_long_as_anybody_has_many() -> None:
    """A fleet without WebSockets need not know."""
    placement = Placement()
    placement.update(0, [interface(4), worker(4)], 100.0)
    assert placement.needs_leases(0, 100.0)
    assert not placement.needs_leases(0, 100.0 + ASKING_S)
    assert placement.needs_leases(BOUND_EXTRA + 1, 100.0 + ASKING_S)
    placement.update(0, [interface(400), worker(400)], 101.0)
    assert placement.needs_leases(0, 100.0 + ASKING_S)


def test_share_and_bound_are_a_tenth_and_a_quarter_above_the_mean_or_a_few_sockets() -> None:
    """P7. The bound is exactly 1.25 times the mean from 40 on."""
    assert (share_of(100), bound_of(100)) == (pytest.approx(110), pytest.approx(125))
    assert bound_of(40) == pytest.approx(50)
    assert (share_of(4), bound_of(4)) == (9, 14)


@pytest.mark.parametrize(
    ("own", "others", "expected"),
    [
        (700, [0, 0, 0], 508),  # down to a tenth above the mean
        (218, [161, 161, 160], 0),  # within its bound
        (219, [161, 160, 160], 27),
        (300, [134, 133, 133], 108),
        (17, [4, 4, 4], 0),  # in a small fleet a few more are no burden
        (20, [4, 4, 4], 7),
        (700, [], 0),
    ],
)
def test_a_worker_beyond_its_bound_has_a_surplus(own: int, others: list[int], expected: int) -> None:
    """P7. 1.25 times the mean; what is handed over is what it has beyond its share."""
    assert placed(own, interface(own + sum(others)), *map(worker, others)).surplus(own) == expected


def test_a_surplus_is_never_more_than_others_have_capacity_for() -> None:
    """P7. What nobody takes would come back, and each time cost its application an instance."""
    full = worker(0, free={"http": 1, "websocket": 0})
    assert placed(700, interface(1400), worker(690), full, full).surplus(700) == 0
