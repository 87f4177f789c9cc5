"""The members of groups in the process that holds their connections.

A membership ends with its connection, so it needs no expiry, and no other process has to know it. Redis is told only about the
first member of a group in a process and about the last. PROTOCOL.md, "Groups", P10.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

Member = TypeVar("Member", int, str)


class Membership(Generic[Member]):
    """The members of each group, by the numbers of this process' connections, or the local parts of its channels."""

    __slots__ = ("_groups_of", "_members_of", "_reports_of")

    def __init__(self) -> None:
        self._members_of: dict[str, dict[Member, int]] = {}  # with the epoch of each joining; a dict keeps the order
        self._groups_of: dict[Member, set[str]] = {}
        self._reports_of: dict[str, dict[Member, Any]] = {}  # without the members that have none

    def add(self, group: str, member: Member, epoch: int = 0, report: Any = None) -> None:
        """Add a member; adding it again renews the epoch and the report.

        epoch: that of the instance that asked; 0: another sender. report: what it gets when messages were missed; None: nothing.
        """
        self._members_of.setdefault(group, {})[member] = epoch
        self._groups_of.setdefault(member, set()).add(group)
        if report is None:
            self._drop_report(group, member)
        else:
            self._reports_of.setdefault(group, {})[member] = report

    def discard(self, group: str, member: Member) -> bool:
        """Remove a member of one group. Returns True if it was the last one here: unsubscribe."""
        members = self._members_of.get(group)
        if members is None or member not in members:
            return False
        del members[member]
        self._drop_report(group, member)
        groups = self._groups_of[member]
        groups.discard(group)
        if not groups:
            del self._groups_of[member]
        if not members:
            del self._members_of[group]
        return not members

    def remove(self, member: Member) -> list[str]:
        """Remove a member of all groups. Returns the groups that lost their last member here: unsubscribe from them."""
        if member not in self._groups_of:
            return []
        return [group for group in tuple(self._groups_of[member]) if self.discard(group, member)]

    def expire_stale(self, member: Member, epoch: int) -> list[str]:
        """End memberships of earlier instances that the one of `epoch` did not confirm. Returns the groups to unsubscribe from."""
        stale = [group for group in self._groups_of.get(member, ()) if 0 < self._members_of[group][member] < epoch]
        return [group for group in stale if self.discard(group, member)]

    def has(self, group: str, member: Member) -> bool:
        """True if `member` belongs to the group now."""
        return member in self._members_of.get(group, ())

    def members(self, group: str) -> tuple[Member, ...]:
        """The members of a group in this process now, in the order of joining."""
        return tuple(self._members_of.get(group, ()))

    def sizes(self) -> tuple[int, int, int]:
        """The number of groups with members in this process, of their members, and of those of the largest. Looks at every group."""
        sizes = [len(members) for members in self._members_of.values()]
        return len(sizes), sum(sizes), max(sizes, default=0)

    def reports(self, group: str) -> dict[Member, Any]:
        """What each member of a group gets when messages were missed, without the members that get nothing."""
        return dict(self._reports_of.get(group, ()))

    def _drop_report(self, group: str, member: Member) -> None:
        reports = self._reports_of.get(group)
        if reports is not None and reports.pop(member, None) is not None and not reports:
            del self._reports_of[group]
