"""The messages of one channel that wait in this process. Put in and taken out by any thread; no loop, no clock.

A receiver that finds nothing leaves a waker. A message is never given to a waker: it stays here until a receiver takes it, without
waiting in between. So a receiver may be cancelled at any moment, and nothing is lost with it.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Any, Protocol

from channel_layer.errors import ChannelLayerError


class Waker(Protocol):
    """Wakes one receiver that waits."""

    def wake(self) -> bool:
        """Wake the receiver. Returns False if its loop has ended, so that another must be woken. Must not wait or raise."""


class LocalQueue:
    """One queue. Times are of any one clock, in seconds."""

    __slots__ = (
        "_expired",
        "_lock",
        "_messages",
        "_over",
        "_receivers",
        "_wakers",
        "abandoned",
        "capacity",
        "received_at",
    )

    def __init__(self, capacity: int, now: float) -> None:
        self._lock = threading.Lock()
        self._messages: deque[tuple[float, float, Any]] = deque()  # with the times of its expiry and its arrival
        self._wakers: deque[Waker] = deque()  # of receivers that nothing has woken
        self._over: ChannelLayerError | None = None  # what receivers get, since nothing will ever come
        self._receivers: set[Waker] = set()  # also those that were woken and have not taken anything yet
        self.capacity = capacity
        self._expired = 0  # messages that nobody took in time, and that no call has counted yet
        self.received_at = now  #: when a receiver was here last
        self.abandoned = False  #: True if that receiver left without a message

    def put(self, event: Any, expires_at: float, now: float) -> bool:
        """Put a message in at the end. Returns False, and drops it, if the queue is full."""
        with self._lock:
            if len(self._messages) >= self.capacity:
                self._drop_expired(now)
                if len(self._messages) >= self.capacity:
                    return False
            self._messages.append((expires_at, now, event))
            self._wake_one()
        return True

    def take(self, now: float, waker: Waker | None = None) -> Any | None:
        """Take the oldest message out. None: there is none, and `waker` is woken when one comes.

        Raises the error of `end`.
        """
        with self._lock:
            if self._over is not None:
                raise type(self._over)(*self._over.args)
            self.received_at, self.abandoned = now, False
            self._drop_expired(now)
            if self._messages:
                if waker is not None:
                    self._receivers.discard(waker)
                return self._messages.popleft()[2]
            if waker is not None:
                self._wakers.append(waker)
                self._receivers.add(waker)
            return None

    def give_up(self, waker: Waker, now: float) -> None:
        """Forget a waker whose receiver waits no longer. If it has been woken already, another is woken in its place."""
        with self._lock:
            self.received_at, self.abandoned = now, True
            self._receivers.discard(waker)
            if waker in self._wakers:
                self._wakers.remove(waker)
            elif self._messages:
                self._wake_one()

    def end(self, error: ChannelLayerError) -> None:
        """Wake all receivers: nothing comes any more, and each of them, like all later ones, gets an error as this one.

        A second error changes nothing.
        """
        with self._lock:
            self._over = self._over or error
            while self._wakers:
                self._wakers.popleft().wake()

    def drop_expired(self, now: float) -> int:
        """Drop what has waited for too long. Returns how many messages were dropped for that since the last call, by receivers too."""
        with self._lock:
            self._drop_expired(now)
            expired, self._expired = self._expired, 0
            return expired

    def clear(self) -> list[tuple[Any, float]]:
        """Take all messages out, each with the time of its expiry."""
        with self._lock:
            messages, self._messages = self._messages, deque()
        return [(event, expires_at) for expires_at, _, event in messages]

    @property
    def waiting_count(self) -> int:
        """The number of messages that wait."""
        return len(self._messages)

    def max_age_s(self, now: float) -> float:
        """For how long the oldest message has waited; 0 if there is none."""
        with self._lock:
            return now - self._messages[0][1] if self._messages else 0.0

    @property
    def receiver_count(self) -> int:
        """The number of receivers that have not got a message yet."""
        return len(self._receivers)

    @property
    def missing_count(self) -> int:
        """How many more messages the receivers here would take."""
        return len(self._receivers) - len(self._messages)

    def _drop_expired(self, now: float) -> None:
        # In the order of arrival: each queue is filled with one expiry, but for remote senders with another.
        while self._messages and self._messages[0][0] <= now:
            self._messages.popleft()
            self._expired += 1

    def _wake_one(self) -> None:
        while self._wakers:
            waker = self._wakers.popleft()
            if waker.wake():
                return
            self._receivers.discard(waker)
