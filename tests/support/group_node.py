"""A node that has members of groups and nothing else, and a process that publishes to a group until it has done so or is ended."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from channel_layer.node import Node
from channel_layer.protocol.codec import pack
from channel_layer.settings import RedisSettings


@dataclass
class GroupMembers:
    """A `Receiver`: writes down what comes for groups, and what is missing."""

    node: Any = None
    texts: list[str] = field(default_factory=list)
    losses: list[tuple[str, int]] = field(default_factory=list)
    events: list[str] = field(default_factory=list)  # both, in their order
    outages: int = 0

    @property
    def missed(self) -> int:
        return sum(missed for _, missed in self.losses)

    def on_group_message(self, group: str, event: dict[str, Any]) -> None:
        self.texts.append(event["text"])
        self.events.append(event["text"])

    def on_messages_missed(self, group: str, missed: int) -> None:
        self.losses.append((group, missed))
        self.events.append(f"missed {missed}")

    def on_redis(self, reachable: bool) -> None:
        self.outages += not reachable

    def on_packets(self, sender: str, packets: list[list[Any]]) -> None: ...
    def on_news(self, what: str, node: str) -> None: ...
    def on_dead(self, node: str) -> None: ...
    def on_unsent(self, node: str, connections: list[tuple[int, int]]) -> None: ...
    def on_data_lost(self) -> None: ...
    def on_resync_needed(self) -> None: ...


@contextlib.asynccontextmanager
async def group_members(settings: RedisSettings, *groups: str) -> AsyncIterator[GroupMembers]:
    """A node with members of these groups. Their counters have been read."""
    members = GroupMembers()
    members.node = node = Node(settings, "interface", members)
    await node.start()
    try:
        await asyncio.gather(*map(node.subscribe, groups))
        await node._commands.connection.execute("TIME")  # behind the read that the confirmations have begun
        yield members
    finally:
        await node.close()


def publisher(url: str, prefix: str, group: str, count: int) -> list[str]:
    """The command of a process that publishes so many messages, and writes the number of each one that Redis has acknowledged."""
    return [sys.executable, "-m", "tests.support.group_node", url, prefix, group, str(count)]


async def _publish(url: str, prefix: str, group: str, count: int) -> None:
    async with group_members(RedisSettings(url=url, prefix=prefix)) as members:
        for number in range(count):
            await members.node.publish(group, pack({"type": "note", "text": str(number)}))
            print(number, flush=True)


if __name__ == "__main__":
    asyncio.run(_publish(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
