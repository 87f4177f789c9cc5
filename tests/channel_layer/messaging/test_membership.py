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
