"""Delivers messages of groups to the sockets in order, in pieces, so that the reactor serves others in between.

Ten thousand sockets take longer than the reactor may be away from its other work. Messages stay in order: a delivery begins when
the one before it has reached its last member.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

from interface_server.groups.interfaces import PushedMessage

SOCKETS_PER_TURN: Final = 256
#: Messages that may wait while one is being delivered. A new message beyond that is dropped and counted.
MESSAGES_MAX: Final = 4096


class FanOut:
    """The deliveries of one process. `push(number, pushed)` delivers one message to one connection."""

    def __init__(self, push: Callable[[int, PushedMessage], None]) -> None:
        self._push = push
        self._queue: deque[tuple[PushedMessage, Iterator[int]]] = deque()
        self._loop = asyncio.get_running_loop()

    def send(self, pushed: PushedMessage, members: tuple[int, ...]) -> bool:
        """Deliver `pushed` to `members`. Returns False if it was dropped, since too many messages wait already."""
        if not self._queue and len(members) <= SOCKETS_PER_TURN:
            for number in members:
                self._push(number, pushed)
            return True
        if len(self._queue) >= MESSAGES_MAX:
            return False
        self._queue.append((pushed, iter(members)))
        if len(self._queue) == 1:
            self._loop.call_soon(self._turn)
        return True

    def _turn(self) -> None:
        left = SOCKETS_PER_TURN
        try:
            while left and self._queue:
                pushed, members = self._queue[0]
                for number in members:
                    self._push(number, pushed)
                    left -= 1
                    if not left:
                        break
                else:
                    self._queue.popleft()
        finally:  # an error at one socket must not end the deliveries of this process
            if self._queue:
                self._loop.call_soon(self._turn)
