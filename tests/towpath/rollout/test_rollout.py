"""What a running `serve` does with requests that cannot be fulfilled: it says so, and goes on."""

from __future__ import annotations

import pytest

from tests.towpath.rollout.asking import SLOTS, Asking

NO_CHECK = ("true",)


@pytest.mark.parametrize("asked_for", [{}, {"do": "dance"}, {"do": ["reload"]}], ids=str)
def test_a_request_that_is_not_known_is_answered(asking: Asking, asked_for: dict[str, object]) -> None:
    """P12. A command of another version may ask for what this one does not know."""
    asked = asking(NO_CHECK)
    assert asked.answers_to(asked_for) == [{"code": 1, "say": "this `towpath serve` does not know that"}]
    assert not asked.rollout.busy and asked.logged == []


@pytest.mark.parametrize("count", [3, -1, "2", None, 1.5], ids=str)
def test_a_number_of_workers_that_is_not_allowed_changes_nothing(asking: Asking, count: object) -> None:
    """P12. The answer tells the limits, and the option that sets the upper one."""
    asked = asking(NO_CHECK)
    (answer,) = asked.answers_to({"do": "scale", "worker": count})
    assert answer["code"] == 1
    assert answer["say"].startswith(f"worker={count}: from 0 to 2 (") and "--workers-max" in answer["say"]
    assert asked.fleet.current == SLOTS[:2] and asked.rollout.counts == {"worker": 2}


def test_the_number_that_there_is_already_is_no_change(asking: Asking) -> None:
    asked = asking(NO_CHECK)
    (answer,) = asked.answers_to({"do": "scale", "worker": 2})
    assert answer["code"] == 0 and answer["say"].startswith("worker=2 in ")
    assert asked.rollout.wanted == SLOTS[:2] and not asked.rollout.busy
