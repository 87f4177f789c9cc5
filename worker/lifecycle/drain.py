"""Drains a worker: takes nothing new, hands WebSockets over, lets exchanges finish, and closes the rest in time.

* WebSockets whose application asked for hand-off are handed off at once, some at a time, so that other workers are not flooded.
* Those that are left near the end are closed one by one, so that their clients do not reconnect all at once. Their instances get
  the disconnect event then, and the rest of the time to act on it; instances that still run after that are cancelled by the host.
* Event streams hardly ever end by themselves: after half of the time they are ended cleanly, since their clients reconnect by themselves.
* All other exchanges have the whole time: a request that ends within it does not fail. Only what the final packets need on their way
  to Redis is kept back.

PROTOCOL.md, "Drain".
"""

from __future__ import annotations

import asyncio
import logging

from channel_layer.protocol.close_codes import SERVICE_RESTART
from channel_layer.protocol.packets import Close
from worker.asgi.host import AsgiHost
from worker.connections.dispatcher import Dispatcher
from worker.connections.downstream import DownstreamConnection
from worker.lifecycle.drain_pacing import DrainPacing

log = logging.getLogger("towpath.worker")

CHECK_INTERVAL_S = 0.05
# Fractions of the drain time, from its beginning:
STREAMS_END_FROM = 0.5
CLOSING_FROM = 0.8  #: WebSockets that no worker takes over
CLOSED_BY = 0.95  #: the instance that was closed last has the rest to act on it
# Kept back for the final packets, the lesser of both:
FINAL_PACKETS_S = 0.1
FINAL_PACKETS_PART = 0.05
NAMED = 10  #: requests that one log line names


async def drain(dispatcher: Dispatcher, host: AsgiHost, timeout_s: float, now: asyncio.Event) -> None:
    """Return when nothing is under way any more: at the latest after `timeout_s`, or soon after `now` is set.

    Background work after a response counts too; it is cut off when the time is over.
    """
    time = asyncio.get_running_loop().time
    end = time() + timeout_s
    cut_at = end - min(FINAL_PACKETS_S, FINAL_PACKETS_PART * timeout_s)
    await dispatcher.stop_taking()
    pacing = DrainPacing()

    def passed() -> float:
        """The fraction of the time that has passed."""
        return 1.0 - (end - time()) / timeout_s

    while (
        (dispatcher.downstreams or dispatcher.taking_count or host.running_count)
        and time() < cut_at
        and not now.is_set()
    ):
        dispatcher.registry.ask_some(lambda instance: instance.hand_off())
        if passed() >= STREAMS_END_FROM:
            dispatcher.registry.ask_some(lambda instance: instance.end_event_stream())
        if passed() >= CLOSING_FROM:
            close_some(websockets(dispatcher.downstreams), pacing, (CLOSED_BY - passed()) / (CLOSED_BY - CLOSING_FROM))
        await asyncio.sleep(max(0.0, min(CHECK_INTERVAL_S, cut_at - time())))
    cut(dispatcher.downstreams)
    while host.running_count and time() < end and not now.is_set():
        await asyncio.sleep(CHECK_INTERVAL_S)


def websockets(downstreams: list[DownstreamConnection]) -> list[DownstreamConnection]:
    """The open WebSockets that are not being handed off."""
    return [
        downstream
        for downstream in downstreams
        if downstream.open and downstream.instance is not None and downstream.instance.kind == "websocket"
    ]


def close_some(left: list[DownstreamConnection], pacing: DrainPacing, rest: float) -> None:
    """Close the WebSockets that are due. rest: the fraction of the closing time that is left."""
    if left and pacing.count is None:
        log.info("closing %d WebSockets that no worker takes over", len(left))
    for downstream in left[: pacing.due(len(left), rest)]:
        stop(downstream)


def cut(downstreams: list[DownstreamConnection]) -> None:
    """Close all at once. The requests among them have failed, so the log names them."""
    held = [(downstream, downstream.instance) for downstream in downstreams]
    stopped = [instance for downstream, instance in held if stop(downstream) and instance is not None]
    requests = [instance.request for instance in stopped if instance.kind == "http"]
    if requests:
        more = f" and {len(requests) - NAMED} more" * (len(requests) > NAMED)
        text = "cutting off %d request%s that did not finish: %s%s"
        log.warning(text, len(requests), "s" * (len(requests) != 1), ", ".join(requests[:NAMED]), more)


def stop(downstream: DownstreamConnection) -> bool:
    """Close one connection, as its drain time is over: its client is closed, and its application may clean up.

    False: nothing was cut off; the connection was over already, or could be ended cleanly.
    """
    if not downstream.held or (
        downstream.open and downstream.instance is not None and downstream.instance.end_event_stream()
    ):
        return False
    if not downstream.open:
        # It was handed off, and not answered (Redis may be unreachable): there is no time left to wait for that.
        downstream.disconnect(SERVICE_RESTART, "")
        return False
    instance = downstream.instance
    downstream.close(Close.STOPPING)
    if instance is not None:
        instance.disconnect(SERVICE_RESTART, "")
    return True
