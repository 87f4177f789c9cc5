"""Synchronous code that sends to a shared channel, one message after the other from one thread of a process without a loop.

`python -m benchmarks.layer.blocking_sends LAYER URL REDIS_PID SECONDS` prints a sample as JSON, or fails if the channel does not hold
as many messages as were sent. Towpath has a client for such code; channels_redis is called by `async_to_sync`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from asgiref.sync import async_to_sync
from redis import Redis

from benchmarks.figures import quantile
from benchmarks.layer.layers import channels_redis
from benchmarks.layer.shared_channel import CHANNEL, WARM_UP_SHARE, message, spent_s
from benchmarks.turns import LoadFailed

CAPACITY = 10_000_000  #: nobody reads: no layer may be full before the end


def sender_of(name: str, url: str) -> Callable[[str, dict[str, Any]], None]:
    if name == "towpath":
        import channel_layer

        send: Callable[[str, dict[str, Any]], None] = channel_layer.connect_blocking(url, capacity=CAPACITY).send
        return send
    return async_to_sync(channels_redis(name, url, capacity=CAPACITY).send)


def messages_in(redis: Redis) -> int:
    """Messages in all channels: each layer has its own keys and its own type of them."""
    lengths = {b"zset": redis.zcard, b"stream": redis.xlen}
    kinds = {key: redis.type(key) for key in redis.scan_iter() if CHANNEL.encode() in key}
    return sum(int(lengths[kind](key)) for key, kind in kinds.items() if kind in lengths)


def sends_for(seconds: float, send: Callable[[str, dict[str, Any]], None], first: int) -> list[int]:
    """The nanoseconds of each call."""
    took_ns, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter_ns()
        send(CHANNEL, message(first + len(took_ns)))
        took_ns.append(time.perf_counter_ns() - began)
    return took_ns


def sample(name: str, url: str, pids: dict[str, int], seconds: float) -> dict[str, Any]:
    send = sender_of(name, url)
    warm_up = sends_for(seconds * WARM_UP_SHARE, send, 0)
    before, began = spent_s(pids), time.perf_counter()
    took_ns = sends_for(seconds, send, len(warm_up))
    elapsed_s, after = time.perf_counter() - began, spent_s(pids)
    sent, there = len(warm_up) + len(took_ns), messages_in(Redis.from_url(url))
    if sent != there:
        raise LoadFailed(f"{sent} messages were sent, and {there} are in the channel")
    ordered = sorted(took_ns)
    return {
        "figures": {
            "per second": len(ordered) / elapsed_s,
            "p50 ms": quantile(ordered, 0.5) / 1e6,
            "p99 ms": quantile(ordered, 0.99) / 1e6,
        },
        "cpu_us": {part: (after[part] - before[part]) * 1e6 / len(ordered) for part in after},
    }


if __name__ == "__main__":
    _, layer, address, redis_pid, duration_s = sys.argv
    print(json.dumps(sample(layer, address, {"redis": int(redis_pid)}, float(duration_s))))
