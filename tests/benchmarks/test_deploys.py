"""The runs of deploys and deaths: that they run, and that they do not overlook what they are there to see."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from benchmarks import report
from benchmarks.deploys import facts
from benchmarks.deploys.asking import Asking, Failure
from benchmarks.deploys.echoing import Echoes, Talk
from benchmarks.deploys.page import Demand, demand_line
from benchmarks.deploys.runs import in_dead_hands
from tests.support.facts import until

ROOT = Path(__file__).parents[2]
SMALL = ["--seconds", "2", "--clients", "5", "--sockets", "6", "--moving", "4", "--reloads", "1"]


def bench(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.deploys", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_a_small_deploy_loses_nothing_and_the_page_says_so(tmp_path: Path) -> None:
    """P7. Requests, echoing sockets and `towpath reload`, in two seconds; and the gap of a hand-off."""
    page = tmp_path / "DEPLOYS.md"
    done = bench("--runs", "deploys,moves", "--servers", "towpath", *SMALL, "--output", str(page))
    assert done.returncode == 0, done.stdout + done.stderr
    text = page.read_text()
    assert "not reached" not in text and "not measured" not in text, text
    assert text.count(", reached") == 11
    handed_over = [line.split("|")[2] for line in text.splitlines() if line.startswith("| hand-overs")]
    assert len(handed_over) == 2 and all(int(number) > 0 for number in handed_over)


def test_what_was_not_measured_is_not_called_reached() -> None:
    """Nobody moves sockets at uvicorn; and a part of the runs leaves what was published alone."""
    published = ROOT / "benchmarks" / "DEPLOYS.md"
    before = published.read_bytes() if published.exists() else None
    done = bench("--runs", "moves", "--servers", "uvicorn")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "not measured in this run" in done.stdout and "reached" not in done.stdout
    assert (published.read_bytes() if published.exists() else None) == before


async def test_an_echo_that_is_missing_or_comes_twice_is_counted() -> None:
    echoes = Echoes()
    talk = Talk(echoes, 1.0)
    talk.said_ns.extend(range(5))
    for number in (1, 2, 4, 3, 4, 5):
        talk.hear(number, b"7")
    assert (echoes.heard, echoes.lost, echoes.doubled, len(echoes.moves_ns)) == (4, 1, 2, 0)


async def test_an_echo_of_another_process_is_a_hand_over() -> None:
    echoes = Echoes()
    talk = Talk(echoes, 1.0)
    talk.said_ns.extend(range(3))
    for number, pid in ((1, b"7"), (2, b"7"), (3, b"8")):
        talk.hear(number, pid)
    assert len(echoes.moves_ns) == 1


@pytest.fixture
def turncoat() -> Iterator[int]:
    """The port of a server whose answers are of somebody else at first, and then failures."""
    command = [sys.executable, str(Path(__file__).with_name("turncoat.py"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.kill()


async def test_every_request_that_is_not_answered_by_its_own_name_is_counted(turncoat: int) -> None:
    """P2. A status of failure is one, and so is an answer that was meant for another; clients go on."""
    asking = Asking(turncoat, 2, Random(0))
    failures = asking.answers.failures
    asking.begin()
    await until(lambda: len(failures) >= 14, "fourteen failures", 15)
    await asking.finish()
    assert not asking.answers.latencies_ns
    assert Counter(failure.seen for failure in failures)["wrong"] == 10
    assert {failure.seen for failure in failures} == {"wrong", "503"}


@pytest.mark.parametrize(
    ("began_s", "ended_s", "ran_in", "excused"),
    [
        (1.0, 3.0, {"a": 7}, True),
        (1.0, 3.0, {"a": 8}, False),  # its worker lives
        (2.5, 3.0, {"a": 7}, False),  # its worker died before
        (1.0, 3.0, {}, True),  # on its way to the one that died
        (2.5, 3.0, {}, False),
    ],
)
def test_a_failed_request_is_excused_by_the_death_of_its_own_worker_alone(
    began_s: float, ended_s: float, ran_in: dict[str, int], excused: bool
) -> None:
    """P3."""
    assert in_dead_hands(Failure("POST", "a", "502", began_s, ended_s), ran_in, {7: 2.0}) is excused


def test_a_request_that_ran_in_two_processes_ran_twice(tmp_path: Path) -> None:
    """P3. The lines of one kind only, over all processes."""
    (tmp_path / "post-7").write_text("a 7 1.0\nb 7 1.5\n")
    (tmp_path / "post-8").write_text("b 8 2.0\n")
    (tmp_path / "started-8").write_text("- 8 0.5\n- 8 0.6\n")
    assert facts.repeated(facts.read(tmp_path, "post")) == 1


def test_a_single_failure_is_a_demand_that_is_not_reached() -> None:
    demand = Demand("no request fails", "failed requests")
    assert demand_line(demand, {"failed requests": 0}).endswith("**0**, reached")
    assert demand_line(demand, {"failed requests": 1}).endswith("**1**, **not reached**")
    assert demand_line(demand, {}).endswith("not measured in this run")


def test_a_new_section_replaces_the_old_one_in_the_page_of_results() -> None:
    page = report.with_deploys("# Results\n", f"{report.DEPLOYS_TITLE}\n\nold\n")
    assert (
        report.with_deploys(page, f"{report.DEPLOYS_TITLE}\n\nnew\n") == f"# Results\n\n{report.DEPLOYS_TITLE}\n\nnew\n"
    )
