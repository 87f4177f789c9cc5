"""How often a worker collects garbage, where the application says nothing about it."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from worker.lifecycle.garbage_collection import YOUNG_OBJECTS_MAX, collect_less_often


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


def test_pythons_own_limit_is_raised() -> None:
    """The other two stay."""
    gc.set_threshold(700, 11, 12)
    collect_less_often()
    assert gc.get_threshold() == (YOUNG_OBJECTS_MAX, 11, 12)


@pytest.mark.parametrize("young", [0, YOUNG_OBJECTS_MAX + 1])
def test_a_collector_that_is_off_or_runs_less_often_is_left_alone(young: int) -> None:
    gc.set_threshold(young, 10, 10)
    collect_less_often()
    assert gc.get_threshold() == (young, 10, 10)
