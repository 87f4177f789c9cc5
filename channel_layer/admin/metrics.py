"""Every metric that a process exports, once: its name, its type, its labels, its meaning, and where its value comes from.

Names and units are Prometheus': seconds and bytes, `_total` for what only grows. OPERATIONS.md lists the same, and a test compares.
Most values are figures of the lease, so monitoring and `towpath status` tell the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

INTERFACE, WORKER, BOTH = "I", "W", "both"


class Kind(Enum):
    """The types of Prometheus that are used."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. figure: the name of its value among the figures of the process. by: the processes that have it."""

    name: str
    kind: Kind
    by: str
    figure: str
    meaning: str
    labels: tuple[str, ...] = field(default=(), kw_only=True)


#: The figures that the lease does not have.
IDENTITY, READY, STOPPING, CONNECTED = "identity", "ready", "stopping", "redis_connected"
LOOP_LAG, LOOP_DELAY = "loop_lag_s", "loop_delay"
RESPONSES, RESPONSE_START, CLIENT_BYTES = "responses", "response_start", "client_bytes"
QUEUE_WAIT, WITHOUT_WORKER, CLIENT_PAUSED = "queue_wait", "without_worker", "client_paused"
#: The figure that has the counters.
COUNTERS = "counters"

METRICS = (
    Metric(
        "towpath_process_info", Kind.GAUGE, BOTH, IDENTITY, "always 1: what this process is",
        labels=("role", "node", "app", "fleet", "package_version"),
    ),
    Metric("towpath_ready", Kind.GAUGE, BOTH, READY, "1 if `/-/health/ready` answers 200"),
    Metric("towpath_stopping", Kind.GAUGE, BOTH, STOPPING, "1 from SIGTERM on"),
    Metric("towpath_redis_connected", Kind.GAUGE, BOTH, CONNECTED, "1 while there is a connection to Redis"),
    Metric("towpath_lease_age_seconds", Kind.GAUGE, BOTH, "lease_age_s", "since the last renewal of the lease that succeeded"),
    Metric("towpath_group_probe_seconds", Kind.GAUGE, BOTH, "probe_s", "how long the last probe of the subscriptions took by Redis"),
    Metric("towpath_event_loop_lag_seconds", Kind.GAUGE, BOTH, LOOP_LAG, "how late the event loop is at this moment"),
    Metric("towpath_event_loop_delay_seconds", Kind.HISTOGRAM, BOTH, LOOP_DELAY, "how late a timer of 0.1 s was"),
    Metric("towpath_connections", Kind.GAUGE, BOTH, "connections", "exchanges and WebSockets under way, those that wait included"),
    Metric("towpath_websockets", Kind.GAUGE, BOTH, "websockets", "open WebSockets, which are among the connections"),
    Metric("towpath_connections_direct_total", Kind.COUNTER, BOTH, "direct_total", "connections sent to a worker directly"),
    Metric("towpath_connections_opened_total", Kind.COUNTER, INTERFACE, "opened_total", "exchanges and WebSockets that have begun"),
    Metric("towpath_queue_connections", Kind.GAUGE, INTERFACE, "queued", "connections of this process that wait for a worker"),
    Metric("towpath_queue_age_seconds", Kind.GAUGE, INTERFACE, "queued_s", "how long the first of the connections that wait has waited"),
    Metric("towpath_queue_wait_seconds", Kind.HISTOGRAM, INTERFACE, QUEUE_WAIT, "waits on a shared channel that a worker has ended"),
    Metric(
        "towpath_websocket_without_worker_seconds", Kind.HISTOGRAM, INTERFACE, WITHOUT_WORKER,
        "how long open WebSockets had no worker: at a hand-off, or after a death until the next worker took them",
    ),
    Metric(
        "towpath_client_paused_seconds", Kind.HISTOGRAM, INTERFACE, CLIENT_PAUSED,
        "how long a client was not read, since its application took no more, or no worker had it yet",
    ),
    Metric("towpath_groups", Kind.GAUGE, INTERFACE, "groups", "groups with members among the connections"),
    Metric("towpath_group_members", Kind.GAUGE, INTERFACE, "group_members", "members of all groups, among the connections"),
    Metric("towpath_inviting_workers", Kind.GAUGE, INTERFACE, "inviting_workers", "workers that invite this process"),
    Metric(
        "towpath_http_responses_total", Kind.COUNTER, INTERFACE, RESPONSES, "responses that have begun, without those of health checks",
        labels=("status",),
    ),
    Metric(
        "towpath_http_response_start_seconds", Kind.HISTOGRAM, INTERFACE, RESPONSE_START,
        "from a request's head to the start of its response",
    ),
    Metric(
        "towpath_client_bytes_total", Kind.COUNTER, INTERFACE, CLIENT_BYTES,
        "bytes that clients have sent, and that were written to them, heads and frames included", labels=("direction",),
    ),
    Metric("towpath_connections_adopted_total", Kind.COUNTER, WORKER, "adopted_total", "connections that this worker has taken"),
    Metric("towpath_streams", Kind.GAUGE, WORKER, "streams", "exchanges that hold no place"),
    Metric("towpath_handing_over", Kind.GAUGE, WORKER, "handing_over", "open WebSockets that this worker is still handing over to others"),
    Metric("towpath_places_free", Kind.GAUGE, WORKER, "free", "connections that this worker would still take", labels=("kind",)),
    Metric("towpath_events_total", Kind.COUNTER, BOTH, COUNTERS, "what the counter <kind>.<reason> counts", labels=("kind", "reason")),
)  # fmt: skip  # one metric, one line: a table that can be read down

#: The counters of alert rules, and the processes that have them: exported as 0 from the start, since the rise of a value that was not
#: there before is no rise for Prometheus.
ALERTED = {
    "closed.slow": INTERFACE,
    "closed.stalled": INTERFACE,
    "ended.died": INTERFACE,
    "ended.full": INTERFACE,
    "ended.late": INTERFACE,
    "ended.outage": INTERFACE,
    "ended.packets_lost": INTERFACE,
    "ended.unavailable": INTERFACE,
    "ended.unknown": INTERFACE,
    "internal.illegal_transition": BOTH,
    "packets.malformed": BOTH,
    "packets.malformed_batch": BOTH,
    "packets.undecryptable": BOTH,
    "peers.dead": BOTH,
}
