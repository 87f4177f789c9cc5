"""Which members a group has, in one process."""

from __future__ import annotations

from channel_layer.messaging.membership import Membership


def test_a_group_is_over_with_its_last_member() -> None:
    """P10. Membership dies with its member."""
    members: Membership[int] = Membership()
    for group, member in (("chat", 1), ("chat", 2), ("chat", 2), ("news", 2)):
        members.add(group, member)
    assert members.members("chat") == (1, 2)
    assert not members.discard("chat", 3)
    assert not members.discard("chat", 1)
    assert sorted(members.remove(2)) == ["chat", "news"]
    assert members.members("chat") == ()
    assert members.remove(2) == []


def test_a_report_is_kept_as_long_as_its_membership() -> None:
    """P10. What a member gets when messages were missed; the last `add` decides."""
    members: Membership[int] = Membership()
    for group, member, report in (
        ("chat", 1, "a"),
        ("chat", 2, "b"),
        ("chat", 3, None),
        ("news", 1, "c"),
        ("chat", 2, None),
    ):
        members.add(group, member, report=report)
    assert members.reports("chat") == {1: "a"} and members.reports("news") == {1: "c"}
    members.add("chat", 3, epoch=1, report="d")
    assert members.expire_stale(3, 2) == [] and members.reports("chat") == {1: "a"}
    members.discard("chat", 1)
    members.remove(1)
    assert members.reports("chat") == members.reports("news") == members.reports("none") == {}


def test_the_sizes_of_groups_are_counted_here() -> None:
    """For `towpath status`: how many groups, members of all of them, and members of the largest."""
    members: Membership[int] = Membership()
    assert members.sizes() == (0, 0, 0)
    for group, member in (("chat", 1), ("chat", 2), ("news", 2)):
        members.add(group, member)
    assert members.sizes() == (2, 3, 2)
