"""The connections of one blocking layer: each call borrows one, and threads share what is idle.

* A call whose command Redis cannot have got is made again, on another connection, and twice at most. After that, and where the outcome
  is unknown, the caller decides: no command is ever sent twice.
* Idle connections are checked before use, since Redis closes them when it restarts. Where the kernel refuses to write to one that was
  closed, a call may try without, and checks when it is made again.
* While Redis cannot be reached, calls fail at once, and attempts to connect come at growing intervals.
* A forked child closes what it inherits and makes its own.
* An exception of a signal handler costs the connection that was in use, and never the place of one: slots.py.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue

from channel_layer.blocking.slots import Slot, Slots
from channel_layer.errors import LayerUnusable, NothingSent
from channel_layer.process.forked_child import give_up_in_children
from channel_layer.redis.address_file import AddressSource
from channel_layer.redis.blocking.connection import (
    BlockingConnection,
    Check,
    Place,
    connect,
    is_read_only,
    no_check,
    pack,
)
from channel_layer.redis.blocking.primary_finder import PrimaryFinder
from channel_layer.redis.connection import Answer, Argument

BACKOFF_FIRST_S = 0.05
BACKOFF_MAX_S = 1.0
#: How often the Sentinels are asked while connections stand.
ASK_INTERVAL_S = 5.0
#: While all connections are in use, a call looks so often whether one was lost, and its slot is free.
LOOK_INTERVAL_S = 0.05

#: The attempts of a call: whether it trusts an idle connection, and whether it is the last one.
ATTEMPTS = ((True, False), (False, False), (False, True))

_beginning = threading.Lock()


class ConnectionPool:
    """The connections of one process to one Redis; for any number of threads."""

    def __init__(self, source: AddressSource, connections_max: int, timeout_s: float, check: Check = no_check) -> None:
        """timeout_s: for connecting, for each answer, and for a connection while all are in use. check: as of `connect`."""
        self._source = source
        self._check = check
        self._finder = PrimaryFinder(source)
        self._behind_sentinels = bool(source.current().sentinels)  # and stays so: a file may change credentials alone
        self._attempts = ATTEMPTS if source.current().path else ATTEMPTS[1:]  # by TCP no connection is trusted
        self._connections_max = connections_max
        self._timeout_s = timeout_s
        self._closed = False
        self._begin()
        give_up_in_children(self)

    def _begin(self) -> None:
        """Start without connections, and without locks that another thread may hold."""
        self._idle: SimpleQueue[Slot] = SimpleQueue()
        self._slots = Slots(self._connections_max)
        self._attempt_due = 0.0  # monotonic: no attempt to connect before
        self._delay_s = BACKOFF_FIRST_S
        self._failure = NothingSent()  # of the last attempt
        self._place: Place | None = None  # of the primary, as the Sentinels named it last
        self._ask_due = 0.0  # monotonic
        self._pid = os.getpid()  # last: until then a child begins again

    def call(self, *command: Argument, block_s: float = 0.0) -> Answer:
        """Send one command and return its answer, an error of Redis' too. Raises NothingSent, LayerUnavailable.

        block_s: how long the command itself may block in Redis.
        """
        return self.exchange(pack(*command), 1, block_s)[0]

    def exchange(self, packed: bytes, count: int, block_s: float = 0.0) -> list[Answer]:
        """Send packed commands, of which one at most writes, and return the `count` answers to them. As `call` otherwise."""
        for trusts, is_last in self._attempts:
            slot, connection = self._take(trusts)
            try:
                answers = connection.exchange(packed, count, block_s)
            except NothingSent:
                if is_last:
                    raise
                continue
            finally:
                self._put_back(slot, connection)
            if is_last or not any(map(is_read_only, answers)):
                return answers
            self.drop_idle()  # they lead to the same server, which is the primary no longer
        raise AssertionError("the last attempt returns or raises")

    @contextmanager
    def connection(self) -> Iterator[BlockingConnection]:
        """A connection for several calls in a row. Raises NothingSent without one."""
        slot, connection = self._take(trusts=False)
        try:
            yield connection
        finally:
            self._put_back(slot, connection)

    def drop_idle(self) -> None:
        """End all connections that are not in use."""
        while (slot := self._idle_slot(0.0)) is not None:
            self._drop(slot)

    def close(self) -> None:
        """End all connections; calls under way finish first, and later ones fail."""
        self._closed = True
        self.drop_idle()

    @property
    def size(self) -> int:
        """How many connections there are."""
        return len(self._slots)

    def forked(self) -> None:
        """See `Inherited`."""
        for connection in self._slots.connections():
            connection.forked()
        self._begin()
        give_up_in_children(self)

    def _begin_in_child(self) -> None:
        """Begin anew in a child that was forked without Python's knowledge: some servers are not written in Python."""
        with _beginning:
            if self._pid != os.getpid():
                self.forked()

    def _take(self, trusts: bool) -> tuple[Slot, BlockingConnection]:
        """A connection for one call. trusts: if it turns out to be closed, the call will be made again."""
        if self._pid != os.getpid():
            self._begin_in_child()
        end = time.monotonic() + self._timeout_s
        while not self._closed:
            slot = self._idle_slot(0.0) or self._connected_slot() or self._idle_slot(LOOK_INTERVAL_S)
            if slot is None:
                if time.monotonic() >= end:
                    raise NothingSent(f"all {self._connections_max} connections were in use for {self._timeout_s:g} s")
            elif (connection := slot.connection) and self._serves(connection, trusts):
                return slot, connection
            else:
                self._drop(slot)
        raise LayerUnusable("this layer is closed")

    def _serves(self, connection: BlockingConnection, trusts: bool) -> bool:
        is_usable = connection.probably_usable if trusts else connection.usable
        return is_usable and (not self._behind_sentinels or self._leads_to_primary(connection))

    def _leads_to_primary(self, connection: BlockingConnection) -> bool:
        """True unless the Sentinels, asked every few seconds, name another server: one that was cut off with us goes on serving us.

        While no Sentinel answers, connections stay.
        """
        now = time.monotonic()
        if now >= self._ask_due:
            self._ask_due = now + ASK_INTERVAL_S
            try:
                self._place = self._finder.find()
            except NothingSent:
                self._place = None
        return self._place in (None, connection.place)

    def _idle_slot(self, wait_s: float) -> Slot | None:
        try:
            return self._idle.get(wait_s > 0, wait_s)
        except Empty:
            return None

    def _put_back(self, slot: Slot, connection: BlockingConnection) -> None:
        if not connection.in_step:
            self._drop(slot)
            return
        self._idle.put(slot)
        if self._closed:
            self.drop_idle()

    def _drop(self, slot: Slot) -> None:
        if slot.connection is not None:
            slot.connection.close()
        self._slots.free(slot)

    def _connected_slot(self) -> Slot | None:
        """A slot with a new connection; None while all slots are in use. Raises NothingSent."""
        slot = self._slots.new()
        if slot is None:
            return None
        try:
            slot.connection = self._connect()
        except BaseException:
            self._drop(slot)
            raise
        return slot

    def _connect(self) -> BlockingConnection:
        left_s = self._attempt_due - time.monotonic()
        if left_s > 0:
            raise type(self._failure)(f"{self._failure}; the next attempt is in {left_s:.2f} s")
        try:
            place = self._finder.find()
            connection = connect(self._source.current(), place, self._timeout_s, self._check)
        except NothingSent as error:
            self._back_off(error)
            raise
        self._delay_s = BACKOFF_FIRST_S
        self._place, self._ask_due = place, time.monotonic() + ASK_INTERVAL_S
        return connection

    def _back_off(self, error: NothingSent) -> None:
        self._failure = error
        self._attempt_due = time.monotonic() + self._delay_s * random.uniform(0.5, 1.0)
        self._delay_s = min(BACKOFF_MAX_S, 2 * self._delay_s)
