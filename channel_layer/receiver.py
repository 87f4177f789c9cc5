"""What a node calls: packets, messages to groups and news of Redis and of peers go to the receiver of its process."""

from __future__ import annotations

from typing import Any, Protocol

from channel_layer.protocol.events import Event


class Receiver(Protocol):
    """Implemented by a dispatcher: handles packets and events that come from Redis. No method may raise or wait."""

    def on_packets(self, sender: str, packets: list[list[Any]]) -> None:
        """Handle the packets of one batch, in order."""

    def on_group_message(self, group: str, event: Event) -> None:
        """Handle a message to a group that has members in this process."""

    def on_messages_missed(self, group: str, missed: int) -> None:
        """At least `missed` messages to a group that has members in this process were lost, before the next message to it.

        They were published while the subscription was away. The node has counted them.
        """

    def on_news(self, what: str, node: str) -> None:
        """Handle news that do not concern the node itself: `OWN_CHANNEL`, `REBALANCE`, and what later versions publish."""

    def on_dead(self, node: str) -> None:
        """A process that shared connections with this one is dead; all packets that it had sent have been handled."""

    def on_unsent(self, node: str, connections: list[tuple[int, int]]) -> None:
        """Redis has refused the `open` of these connections, which was to go to the inbox of `node`, and has certainly not got it.

        Each connection is named by its number and epoch. All of its packets are dropped.
        """

    def on_redis(self, reachable: bool) -> None:
        """Redis has become reachable or unreachable."""

    def on_data_lost(self) -> None:
        """Redis lost its data while it kept running (FLUSHALL): our inbox is gone, and queued connections may be too."""

    def on_resync_needed(self) -> None:
        """Packets may have been lost in either direction: send `sync` for every connection that has an owner."""
