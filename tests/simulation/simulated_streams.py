"""Streams as Redis has them, as far as Towpath uses them. No clock: the caller brings the moment in milliseconds."""

from __future__ import annotations

from dataclasses import dataclass, field

Id = tuple[int, int]
Entry = tuple[bytes, list[bytes]]


def parse(text: bytes) -> Id:
    """An id as it is written; `-` and `+` are the ends."""
    if text in (b"-", b"+"):
        return (0, 0) if text == b"-" else (2**63, 0)
    milliseconds, _, number = text.partition(b"-")
    return int(milliseconds), int(number or 0)


def shown(entry_id: Id) -> bytes:
    """An id as it is written."""
    return b"%d-%d" % entry_id


@dataclass
class Group:
    """A consumer group: how far it has delivered, and what is not acknowledged: by id (consumer, delivered at)."""

    last: Id = (0, 0)
    pending: dict[Id, tuple[bytes, int]] = field(default_factory=dict)


@dataclass
class Stream:
    """Entries in the order of their ids."""

    entries: dict[Id, list[bytes]] = field(default_factory=dict)
    last: Id = (0, 0)
    groups: dict[bytes, Group] = field(default_factory=dict)

    def copy(self) -> Stream:
        """As it is now."""
        groups = {name: Group(group.last, dict(group.pending)) for name, group in self.groups.items()}
        return Stream(dict(self.entries), self.last, groups)

    def add(self, now_ms: int, fields: list[bytes]) -> bytes:
        """Append; the new id."""
        self.last = (now_ms, 0) if now_ms > self.last[0] else (self.last[0], self.last[1] + 1)
        self.entries[self.last] = fields
        return shown(self.last)

    def after(self, last: Id, count: int) -> list[Entry]:
        """The first `count` entries behind `last`."""
        if self.last <= last:
            return []
        behind = [(shown(entry_id), fields) for entry_id, fields in self.entries.items() if entry_id > last]
        return behind[:count]

    def read(self, group: Group, consumer: bytes, count: int, now_ms: int) -> list[Entry]:
        """Deliver what no consumer of the group has had."""
        found = self.after(group.last, count)
        for entry_id, _ in found:
            group.last = parse(entry_id)
            group.pending[group.last] = (consumer, now_ms)
        return found

    def claim(self, group: Group, consumer: bytes, idle_ms: int, count: int, now_ms: int) -> list[Entry]:
        """Take over what has been pending for `idle_ms`; what is no longer there is forgotten (Redis 7)."""
        found: list[Entry] = []
        for entry_id, (_, since) in sorted(group.pending.items()):
            if now_ms - since < idle_ms or len(found) >= count:
                continue
            if entry_id in self.entries:
                group.pending[entry_id] = (consumer, now_ms)
                found.append((shown(entry_id), self.entries[entry_id]))
            else:
                del group.pending[entry_id]
        return found
