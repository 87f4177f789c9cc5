"""The messages of groups and third parties that wait for one client, bounded in bytes and in time.

Their senders cannot wait for a client that does not read. So what waits for it has a bound; and of more than 1 MiB the client must take
within a time limit what waited at the beginning of it. How much came in one turn of the loop does not count, and nor does what the
application sends: credit bounds that. PROTOCOL.md, P5.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from interface_server.settings import InterfaceSettings
from interface_server.transport.slow_consumers import SlowConsumers, Watched

#: Bytes that may wait for a client without a time limit. With more it has to keep up.
TOLERATED_BYTES: Final = 1_048_576


class Stream(Watched, Protocol):
    """The stream to the client."""

    def get_write_buffer_size(self) -> int:
        """Bytes that wait to be written."""


class Context(Protocol):
    """What all clients of a process share."""

    @property
    def settings(self) -> InterfaceSettings: ...

    @property
    def slow(self) -> SlowConsumers: ...

    @property
    def now(self) -> float:
        """The loop's time at the last tick."""


class PushBacklog:
    """The backlog of one client. It is made when its write buffer is full, and ends when it has drained."""

    __slots__ = ("_context", "_on_slow", "_stream", "size_bytes")

    def __init__(self, context: Context, stream: Stream, on_slow: Callable[[], None]) -> None:
        """on_slow: disconnects the client, and calls `end`."""
        self._context = context
        self._stream = stream
        self._on_slow = on_slow
        self.size_bytes = 0  #: written since the buffer was full

    def add(self, size_bytes: int, held_bytes: int = 0) -> None:
        """Count bytes that were written to the full buffer. held_bytes: others that wait in front of it."""
        self.size_bytes += size_bytes
        if self._waiting_bytes + held_bytes > self._context.settings.ws_push_bytes_max:
            self._on_slow()
        elif self.size_bytes > TOLERATED_BYTES:
            self._context.slow.watch(self._stream, self._context.now, self._late)

    def end(self) -> None:
        """Stop the watch: the client has taken most of its buffer, or is gone."""
        self.size_bytes = 0
        self._context.slow.forget(self._stream)

    @property
    def _waiting_bytes(self) -> int:
        """An upper bound of these bytes that wait in the stream's buffer."""
        return min(self.size_bytes, self._stream.get_write_buffer_size()) if self.size_bytes else 0

    def _late(self) -> None:
        """Disconnect the client, since it has not kept up; unless little waits by now."""
        if self._waiting_bytes > TOLERATED_BYTES:
            self._on_slow()
