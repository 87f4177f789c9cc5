"""The figures of the groups: right when they are counted, and not counted more often than they must be."""

from __future__ import annotations

from channel_layer.messaging.membership import Membership
from interface_server.groups.group_figures import COUNTED_S, GroupFigures


def test_groups_are_counted_at_most_every_few_seconds() -> None:
    membership: Membership[int] = Membership()
    figures = GroupFigures(membership)
    assert figures.at(0.0) == {"groups": 0, "group_members": 0, "largest_group": 0}
    membership.add("lock", 1)
    membership.add("lock", 2)
    membership.add("weir", 2)
    assert figures.at(COUNTED_S - 0.1)["groups"] == 0
    assert figures.at(COUNTED_S) == {"groups": 2, "group_members": 3, "largest_group": 2}
