"""Which signals mean "at once". No process, no clock."""

from __future__ import annotations

from signal import SIGHUP, SIGINT, SIGTERM

import pytest

from channel_layer.process.stop_requests import Meaning, StopRequests

STOP, ECHO, AT_ONCE = Meaning


@pytest.mark.parametrize(
    ("signals", "alone", "supervised"),
    [
        pytest.param([(SIGTERM, 0), (SIGTERM, 0.01)], ECHO, ECHO, id="a service manager and a wrapper"),
        pytest.param([(SIGTERM, 0), (SIGTERM, 1.9)], ECHO, ECHO, id="the same a little later"),
        pytest.param([(SIGTERM, 0), (SIGTERM, 2.0)], AT_ONCE, ECHO, id="a person, or a supervisor half a minute later"),
        pytest.param([(SIGINT, 0), (SIGINT, 0.01)], ECHO, ECHO, id="a terminal and a wrapper"),
        pytest.param([(SIGINT, 0), (SIGINT, 0.15)], AT_ONCE, AT_ONCE, id="Ctrl-C twice, quickly"),
        pytest.param(
            [(SIGINT, 0), (SIGTERM, 0.01)], AT_ONCE, ECHO, id="a service manager that says SIGINT, a supervisor"
        ),
        pytest.param([(SIGHUP, 0), (SIGHUP, 9.0)], ECHO, ECHO, id="a terminal that has gone"),
        pytest.param([(SIGHUP, 0), (SIGTERM, 1.9)], ECHO, ECHO, id="a terminal that has gone, and what it had started"),
        pytest.param([(SIGTERM, 0), (SIGHUP, 9.0)], ECHO, ECHO, id="a service manager that says SIGHUP too"),
        pytest.param([(SIGHUP, 0), (SIGTERM, 2.0)], AT_ONCE, ECHO, id="a person after the terminal has gone"),
        pytest.param([(SIGTERM, 0), (SIGINT, 0.01)], AT_ONCE, AT_ONCE, id="a person comes in between"),
    ],
)
def test_only_a_person_means_at_once(signals: list[tuple[int, float]], alone: Meaning, supervised: Meaning) -> None:
    """P7. What runs is finished, whoever repeats the first signal; a person who repeats it need not wait."""
    for expected, below_a_supervisor in ((alone, False), (supervised, True)):
        requests = StopRequests(below_a_supervisor)
        assert [requests.receive(number, 100 + at) for number, at in signals] == [STOP, expected]
