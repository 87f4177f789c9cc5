"""The text that Prometheus reads, from the readings of this process.

What the application itself has registered with `prometheus_client` follows, and so does what that library says of every process
(`process_cpu_seconds_total`, `process_resident_memory_bytes`): one scrape for each process has all of it.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from prometheus_client import REGISTRY
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from channel_layer.admin.histogram import Histogram
from channel_layer.admin.metrics import Kind, Metric
from channel_layer.admin.readings import Labelled, readings

log = logging.getLogger("towpath.admin")

FAMILIES: dict[Kind, Any] = {
    Kind.GAUGE: GaugeMetricFamily,
    Kind.COUNTER: CounterMetricFamily,
    Kind.HISTOGRAM: HistogramMetricFamily,
}


class Exposition(Collector):
    """The text of one process. figures: returns what it is asked for, and may be called by any thread."""

    def __init__(self, figures: Callable[[], Mapping[str, Any]]) -> None:
        self._figures = figures

    def text(self, accepted: str) -> tuple[bytes, str]:
        """The text, and its content type. accepted: the field `Accept` of the request."""
        encode, content_type = choose_encoder(accepted)
        return encode(self), content_type

    def collect(self) -> Iterator[Family]:
        """See `Collector.collect`."""
        for metric, values in readings(self._figures()):
            yield _family(metric, values)
        try:
            others = list(REGISTRY.collect())
        except Exception:  # collectors are the application's, and may raise anything
            log.exception("the metrics of the application could not be collected")
            return
        yield from others


def _family(metric: Metric, values: list[Labelled]) -> Family:
    family: Any = FAMILIES[metric.kind](metric.name, metric.meaning, labels=metric.labels)
    for labels, value in values:
        if isinstance(value, Histogram):
            buckets = [("+Inf" if bound_s == math.inf else str(bound_s), count) for bound_s, count in value.at_most()]
            family.add_metric(labels, buckets, value.sum_s)
        else:
            family.add_metric(labels, value)
    return cast(Family, family)
