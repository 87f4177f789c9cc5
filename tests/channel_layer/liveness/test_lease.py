"""The lease of a process itself: when it may judge others."""

from __future__ import annotations

from channel_layer.liveness.lease import OwnLease


def test_only_who_was_alive_all_the_while_may_call_another_dead() -> None:
    """P6, P8. Else an outage of Redis looks like the death of all processes."""
    own = OwnLease(5.0)
    assert not own.may_declare_dead(0.0)
    own.renewed(0.0, found=False)
    assert not own.may_declare_dead(4.9)
    for second in range(1, 6):
        assert not own.renewed(float(second), found=True)
    assert own.may_declare_dead(5.0)
    assert not own.may_declare_dead(10.1), "our own renewals have stopped"
    assert own.renewed(11.0, found=False), "others may have thought us dead"
    assert not own.may_declare_dead(12.0)


def test_a_renewal_is_under_way_until_each_that_was_asked_for_has_been_heard_of() -> None:
    """P6, P8. The thread that asks may be two renewals ahead of a loop that was blocked."""
    own = OwnLease(5.0)
    assert not own.renewal_pending
    own.renewal_started()
    own.renewal_started()
    own.renewed(1.0, found=True)
    assert own.renewal_pending
    own.renewal_failed()
    assert not own.renewal_pending and not own.may_declare_dead(1.0)


def test_a_renewal_that_failed_counts_as_long_as_one_that_found_nothing() -> None:
    """P6, P8. Who could not renew for a moment may have been luckier than others, whose leases ended meanwhile."""
    own = OwnLease(5.0)
    for second in range(6):
        own.renewed(float(second), found=True)
    assert own.may_declare_dead(5.1)
    own.mark_interrupted()
    assert not own.may_declare_dead(5.2)
    assert not own.renewed(6.0, found=True), "ours was still there"
    for second in range(7, 11):
        own.renewed(float(second), found=True)
        assert not own.may_declare_dead(second + 0.1)
    own.renewed(11.0, found=True)
    assert own.may_declare_dead(11.1)
