"""Every Redis key, in one place. Types, makers and lifetimes of each: PROTOCOL.md, "Keys"."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

HTTP_CHANNEL: Final = "http.request"
WEBSOCKET_CHANNEL: Final = "websocket.connect"

#: The shared channel on which connections of a kind (`scope["type"]`) wait for a worker.
CHANNEL_OF_KIND: Final = {"http": HTTP_CHANNEL, "websocket": WEBSOCKET_CHANNEL}


#: In the names of channels that one worker reads. No application can name it.
OWN_CHANNEL_SIGN: Final = "@"


def own_channel(channel: str, worker: str) -> str:
    """The channel beside `channel` that only this worker reads."""
    return f"{channel}{OWN_CHANNEL_SIGN}{worker}"


#: News: a worker has started that reads a channel of its own.
OWN_CHANNEL: Final = "own channel"
#: News: workers shall level the numbers of their WebSockets now.
REBALANCE: Final = "rebalance"

#: The one consumer group of every shared channel.
GROUP: Final = "workers"


class Keys:
    """The keys of one deployment; `prefix` keeps two deployments in one database apart.

    db: the number of the database. It is part of all pub/sub names, since a server's publishes reach the clients of all its
    databases.
    """

    __slots__ = ("db", "prefix")

    def __init__(self, prefix: str, db: int = 0) -> None:
        self.prefix = prefix
        self.db = db

    def channel(self, name: str) -> str:
        """Stream: the entries of a shared channel."""
        return f"{self.prefix}channel:{name}"

    def channel_size(self, name: str) -> str:
        """Integer: the bytes that wait in a shared channel."""
        return f"{self.prefix}channel-size:{name}"

    def of_shared_channels(self, names: Iterable[str]) -> list[str]:
        """All keys of some shared channels."""
        return [key for name in names for key in (self.channel(name), self.channel_size(name))]

    @property
    def shared_channels(self) -> str:
        """Sorted set: the names of the applications' shared channels, by the last moment (Redis' time in ms) of what was sent to them."""
        return f"{self.prefix}shared-channels"

    def inbox(self, node: str) -> str:
        """Stream: batches of packets for one process."""
        return f"{self.prefix}inbox:{node}"

    def lease(self, node: str) -> str:
        """String with a TTL: the process counts as alive while it exists."""
        return f"{self.prefix}node:{node}"

    @property
    def nodes(self) -> str:
        """Sorted set by Redis' time in ms: the index of the leases."""
        return f"{self.prefix}nodes"

    def group(self, name: str) -> str:
        """Pub/sub channel: the messages to a group."""
        return f"{self.prefix}group:{self.db}:{name}"

    def group_sequence(self, name: str) -> str:
        """Integer with a TTL: the number of the last message to a group."""
        return f"{self.prefix}group-sequence:{name}"

    def group_channels(self, name: str) -> str:
        """Sorted set by Redis' time in ms at which each membership ends: the shared channels that are members of a group."""
        return f"{self.prefix}group-channels:{name}"

    @property
    def groups_with_channels(self) -> str:
        """Sorted set: the names of the groups with shared channels, by Redis' time in ms at which the last membership of each ends."""
        return f"{self.prefix}groups-with-channels"

    def probe(self, node: str) -> str:
        """Pub/sub channel: messages of a process to itself, to find out whether it would receive any."""
        return f"{self.prefix}probe:{self.db}:{node}"

    @property
    def news(self) -> str:
        """Pub/sub channel: news about processes that started, died, or shut down."""
        return f"{self.prefix}news:{self.db}"
