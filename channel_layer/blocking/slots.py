"""The slots of a pool: at most so many exist at a time, and one that nothing refers to any more is free again.

A signal handler may raise between any two instructions: Ctrl-C, or the soft time limit of a Celery task. So a slot is never counted up
and down: the count is the number of slots that exist, and a slot that was lost on its way ends with its last reference, which the
interpreter itself removes from the set. No lock is held here either, as it could be lost in the same way.
"""

from __future__ import annotations

from weakref import ref

from channel_layer.redis.blocking.connection import BlockingConnection


class Slot:
    """The right to one connection, and that connection as soon as there is one."""

    __slots__ = ("__weakref__", "connection")

    def __init__(self) -> None:
        self.connection: BlockingConnection | None = None


class Slots:
    """The slots of one pool. For any thread."""

    __slots__ = ("_existing", "_max")

    def __init__(self, slots_max: int) -> None:
        self._max = slots_max
        self._existing: set[ref[Slot]] = set()

    def __len__(self) -> int:
        return len(self._existing)

    def new(self) -> Slot | None:
        """A new slot, or None while all exist. Of two threads that ask for the last one at once, neither may get it."""
        slot = Slot()
        self._existing.add(ref(slot, self._existing.discard))  # in C, so that no handler runs within
        return slot if len(self._existing) <= self._max else None

    def free(self, slot: Slot) -> None:
        """Free a slot at once, though a traceback may still refer to it."""
        self._existing.discard(ref(slot))

    def connections(self) -> list[BlockingConnection]:
        """All connections in slots."""
        slots = [slot for each in tuple(self._existing) if (slot := each()) is not None]
        return [slot.connection for slot in slots if slot.connection is not None]
