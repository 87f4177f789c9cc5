"""What a running `serve` does with requests that cannot be fulfilled: it says so, and goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.facts import wait_until
from tests.towpath.rollout.asking import SLOTS, Asked, Asking, Client
from towpath.runtime.run_dir import RunDir
from towpath.status.lease_reader import LeaseReader
from towpath.supervisord.process import Process

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


def test_who_waits_while_redis_is_away_is_told(tmp_path: Path) -> None:
    """A command that prints nothing looks as if it hung."""
    folder = RunDir.acquire(tmp_path / "run")
    asked, client = Asked(folder, LeaseReader("redis://127.0.0.1:1", "p:"), NO_CHECK), Client({"do": "reload"})
    seen = {name: Process(name=name, state="RUNNING", pid=number + 1) for number, name in enumerate(SLOTS)}
    asked.rollout.apply(client.request)

    def is_told() -> bool:
        asked.rollout.poll(seen)
        client.read()
        return [each["say"][:17] for each in client.answers] == ["waiting for Redis"]

    wait_until(is_told, "it is told")
    client.close()
    folder.release()


def test_a_failure_is_told_once(asking: Asking) -> None:
    """It is the answer, so it is no report as well."""
    asked, client = asking(NO_CHECK), Client({"do": "reload"})
    asked.rollout.apply(client.request)
    seen = {name: Process(name=name, state="RUNNING", pid=number + 1) for number, name in enumerate(SLOTS)}

    def is_answered() -> bool:
        asked.rollout.poll(seen)
        for name in SLOTS[2:]:  # of the successors
            seen[name] = Process(name=name, state="FATAL", end="left with exit status 9")
        return client.is_answered

    wait_until(is_answered, "the answer")
    said = [each["say"] for each in client.answers]
    assert said == ["worker-2 left with exit status 9 while it started; the old ones stay"] == asked.errors
    client.close()
