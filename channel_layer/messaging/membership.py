"""Who is a member of what, in the process that owns the members.

Membership lives where the member lives and dies with it; nothing has to expire and nobody else has to know. Redis hears only of the
first member of a group in a process and of the last. PROTOCOL.md, "Groups", P10.
"""

from __future__ import annotations


class Membership:
    """Members are the numbers of this process' connections."""

    __slots__ = ("_groups_of", "_members_of")

    def __init__(self) -> None:
        self._members_of: dict[str, dict[int, int]] = {}  # with the epoch of each joining; a dict keeps the order
        self._groups_of: dict[int, set[str]] = {}

    def add(self, group: str, member: int, epoch: int = 0) -> None:
        """epoch: of the instance that asked; 0: somebody else. Adding again only renews the epoch."""
        self._members_of.setdefault(group, {})[member] = epoch
        self._groups_of.setdefault(member, set()).add(group)

    def discard(self, group: str, member: int) -> bool:
        """True if it was the group's last member here: unsubscribe."""
        members = self._members_of.get(group)
        if members is None or member not in members:
            return False
        del members[member]
        groups = self._groups_of[member]
        groups.discard(group)
        if not groups:
            del self._groups_of[member]
        if not members:
            del self._members_of[group]
        return not members

    def remove(self, member: int) -> list[str]:
        """The member is no more. The groups that lost their last member here: unsubscribe from them."""
        if member not in self._groups_of:
            return []
        return [group for group in tuple(self._groups_of[member]) if self.discard(group, member)]

    def expire_stale(self, member: int, epoch: int) -> list[str]:
        """Memberships that an earlier instance asked for and the one of `epoch` did not confirm end. Groups to unsubscribe."""
        stale = [group for group in self._groups_of.get(member, ()) if 0 < self._members_of[group][member] < epoch]
        return [group for group in stale if self.discard(group, member)]

    def has(self, group: str, member: int) -> bool:
        """True if it is a member of the group now."""
        return member in self._members_of.get(group, ())

    def members(self, group: str) -> tuple[int, ...]:
        """Members of a group in this process as they are now, in the order of joining."""
        return tuple(self._members_of.get(group, ()))
