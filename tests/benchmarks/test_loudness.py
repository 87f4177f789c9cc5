"""A round of the bench on a loud machine is repeated and not published."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.deploys.fleet import Redis
from benchmarks.figures import Sample
from benchmarks.loudness import CalmestClient
from benchmarks.report import Outcome
from benchmarks.rows.row import Row, Size, Terms
from benchmarks.run import measure

CONTESTANTS = ("towpath", "uvicorn")


def measured(client_us: list[float], rounds: int, calmest: CalmestClient) -> Outcome:
    """A row of which the samples of uvicorn need so much CPU of the client, one after the other. Its rate tells which one it is."""
    samples: Iterator[tuple[int, float]] = iter(enumerate(client_us, 1))

    def take(contestant: str, terms: Terms) -> Sample:
        if contestant == "towpath":
            return Sample({"per second": 0.0}, {"client": 10.0})
        number, spent_us = next(samples)
        return Sample({"per second": float(number)}, {"server": 1.0, "client": spent_us})

    row = Row("hello", "Hello", "request", "per second", take, (), CONTESTANTS)
    return measure(row, list(CONTESTANTS), rounds, Terms(Size(1, 1, 1), None, Redis(Path("not-started"))), calmest)


def rounds_of(outcome: Outcome) -> list[float]:
    """Which rounds count."""
    return [sample.figures["per second"] for sample in outcome.samples.get("uvicorn", [])]


def test_a_loud_round_is_repeated_for_all_contestants() -> None:
    outcome = measured([10, 14, 11, 12], 3, CalmestClient())
    assert rounds_of(outcome) == [1, 3, 4]
    assert len(outcome.samples["towpath"]) == 3
    assert "Loudness: 1.00 – 1.20. Louder rounds that were left out: 1 (1.40)." in report.section(outcome)


def test_a_round_that_a_later_one_shows_to_be_loud_is_repeated_too() -> None:
    assert rounds_of(measured([14, 10, 11], 2, CalmestClient())) == [2, 3]


def test_the_bench_ends_when_the_machine_stays_loud() -> None:
    outcome = measured([10, 14, 15, 16], 2, CalmestClient())
    assert rounds_of(outcome) == [1]
    assert outcome.loud == [1.4, 1.5, 1.6]


def test_a_run_that_is_louder_than_an_earlier_one_is_not_published(tmp_path: Path) -> None:
    measured([10], 1, CalmestClient(tmp_path / "kept" / "calmest.json"))
    outcome = measured([14, 15], 1, CalmestClient(tmp_path / "kept" / "calmest.json"))
    assert not rounds_of(outcome)
    page = report.section(outcome)
    assert "Not published: all rounds were too loud (1.40 – 1.50)." in page and "|" not in page


@pytest.mark.parametrize("limit", [float("inf"), 2.0])
def test_the_limit_is_an_option(limit: float) -> None:
    assert rounds_of(measured([10, 19], 2, CalmestClient(None, limit))) == [1, 2]


def test_a_row_whose_client_is_not_measured_apart_is_not_judged() -> None:
    assert CalmestClient().loudness("start", {"towpath": Sample({"s": 1.0}, {"keeper": 5.0})}) == 1.0
