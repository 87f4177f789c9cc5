"""Figures of a process become values of metrics, and figures that it does not have become none."""

from __future__ import annotations

from typing import Any

from channel_layer.admin.histogram import Histogram
from channel_layer.admin.metrics import ALERTED, QUEUE_WAIT, READY
from channel_layer.admin.readings import readings


def values(figures: dict[str, Any]) -> dict[str, Any]:
    return {metric.name: dict(labelled) for metric, labelled in readings(figures)}


def test_a_process_that_has_only_begun_shows_that_it_is_not_ready() -> None:
    """Its application may take long to load."""
    assert values({READY: False}) == {"towpath_process_info": {("",) * 5: 1.0}, "towpath_ready": {(): 0.0}}


def test_a_counter_is_a_series_with_its_kind_and_its_reason() -> None:
    """`refused.websocket_403` is one reason."""
    events = values({"role": "interface", "counters": {"refused.websocket_403": 3}})["towpath_events_total"]
    assert events["refused", "websocket_403"] == 3.0


def test_the_counters_of_alerts_are_there_before_they_have_counted() -> None:
    """The first death raises a value, where a series that only appears would raise nothing. Each process has its own ones."""
    first = values({"role": "interface", "counters": {"ended.died": 1}})["towpath_events_total"]
    assert first["ended", "died"] == 1.0
    assert len(first) == len(ALERTED)
    of_worker = values({"role": "worker", "counters": {}})["towpath_events_total"]
    assert of_worker["peers", "dead"] == 0.0
    assert ("ended", "died") not in of_worker


def test_a_figure_with_parts_is_labelled_by_their_names() -> None:
    """Free places, by the kind of connection."""
    assert values({"free": {"http": 3, "websocket": 0}})["towpath_places_free"] == {("http",): 3.0, ("websocket",): 0.0}


def test_a_histogram_is_passed_on_as_it_is() -> None:
    """It is read when the text is made."""
    histogram = Histogram()
    assert values({QUEUE_WAIT: histogram})["towpath_queue_wait_seconds"] == {(): histogram}


def test_a_figure_of_the_lease_that_is_none_of_a_metric_is_left_out() -> None:
    """Leases contain more than figures."""
    assert values({"host": "a", "pid": 1}).keys() == {"towpath_process_info"}
