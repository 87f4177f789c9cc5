"""What the parts of a node need beside Redis, where a test has one part alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from channel_layer.messaging.node_context import NodeContext
from channel_layer.redis.connection import RedisConnection
from channel_layer.settings import RedisSettings


def context(url: str, name: str = "interface.me", prefix: str = "p:") -> NodeContext:
    """The context of a node of that name."""
    return NodeContext.of(name, name.partition(".")[0], RedisSettings(url=url, prefix=prefix))


@dataclass
class Commands:
    """Where a part finds the connection for commands; a test may take it away."""

    connection: RedisConnection | None = None


@dataclass
class RecordedObserver:
    """Implements `InboxObserver` and `PubSubObserver`: keeps what comes."""

    batches: list[tuple[str, list[list[Any]]]] = field(default_factory=list)
    messages: list[object] = field(default_factory=list)
    news: list[tuple[str, str]] = field(default_factory=list)
    losses: int = 0
    malformed: int = 0
    missed: list[tuple[str, int]] = field(default_factory=list)

    def on_packets(self, sender: str, packets: list[list[Any]]) -> None:
        self.batches.append((sender, packets))

    def on_group_message(self, group: str, event: dict[str, Any]) -> None:
        self.messages.append((group, event))

    def on_messages_missed(self, group: str, missed: int) -> None:
        self.missed.append((group, missed))

    def on_news(self, what: str, node: str) -> None:
        self.news.append((what, node))

    def on_data_lost(self) -> None:
        self.losses += 1

    def on_malformed(self) -> None:
        self.malformed += 1
