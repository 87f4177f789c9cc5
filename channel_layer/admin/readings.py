"""The values of all metrics at one moment, made from the figures of a process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from channel_layer.admin.histogram import Histogram
from channel_layer.admin.metrics import ALERTED, BOTH, COUNTERS, IDENTITY, INTERFACE, METRICS, WORKER, Metric

#: The labels of a value, and the value.
Labelled = tuple[tuple[str, ...], float | Histogram]


def readings(figures: Mapping[str, Any]) -> Iterator[tuple[Metric, list[Labelled]]]:
    """Each metric that these figures have a value of, with its values."""
    for metric in METRICS:
        if metric.figure == IDENTITY:
            yield metric, [(tuple(str(figures.get(label, "")) for label in metric.labels), 1.0)]
        elif (value := figures.get(metric.figure)) is not None:
            yield metric, list(_labelled(metric, {**_zeros(figures), **value} if metric.figure == COUNTERS else value))


def _zeros(figures: Mapping[str, Any]) -> dict[str, int]:
    mine = (BOTH, INTERFACE if figures.get("role") == "interface" else WORKER)
    return {name: 0 for name, by in ALERTED.items() if by in mine}


def _labelled(metric: Metric, value: Any) -> Iterator[Labelled]:
    if not metric.labels:
        yield (), value if isinstance(value, Histogram) else float(value)
        return
    for name, number in value.items():
        yield tuple(name.split(".", len(metric.labels) - 1)), float(number)  # a counter is called <kind>.<reason>
