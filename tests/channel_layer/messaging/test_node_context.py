"""What all parts of one node share."""

from __future__ import annotations

import pytest

from channel_layer.messaging.node_context import NodeContext
from channel_layer.settings import RedisSettings


def context(settings: RedisSettings) -> NodeContext:
    return NodeContext.of("worker.9f86d081c3a2", "worker", settings)


def test_address_and_keys_are_those_of_the_url() -> None:
    """P12. The number of the database is part of pub/sub names, since a publish reaches the clients of all databases."""
    made = context(RedisSettings(url="redis://example:6380/3", prefix="p:"))
    assert (made.address.host, made.address.port, made.keys.news) == ("example", 6380, "p:news:3")


@pytest.mark.parametrize(("queue_wait_s", "orphan_ttl_ms"), [(4.0, 60_000), (30.0, 60_000), (45.0, 90_000)])
def test_keys_outlive_their_owner_by_twice_the_longest_wait(queue_wait_s: float, orphan_ttl_ms: int) -> None:
    """P11. A connection that waits is not forgotten before its wait is over, and nothing stays for good."""
    assert context(RedisSettings(queue_wait_s=queue_wait_s)).orphan_ttl_ms == orphan_ttl_ms


def test_a_url_that_is_none_is_an_error_at_once() -> None:
    with pytest.raises(ValueError, match="is not a Redis URL"):
        context(RedisSettings(url="http://example"))
