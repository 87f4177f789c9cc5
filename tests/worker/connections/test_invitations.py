"""How many requests a worker invites, and from whom."""

from __future__ import annotations

from worker.connections.invitations import (
    CALM_S,
    CALM_S_MAX,
    QUICK_AFTER,
    QUICK_S,
    QUOTA_MAX,
    REMEMBERED_MAX,
    SOON_S,
    Invitations,
)

A, B = "interface.a", "interface.b"


def invitations(*guests: str) -> Invitations:
    made = Invitations()
    made.learn(guests, {guest: {"takes_invitations": True} for guest in guests})
    return made


def test_guests_are_the_living_whose_lease_says_that_they_take_invitations() -> None:
    """An interface server of an earlier version does not say it; what is read once is remembered, while it lives."""
    known = Invitations()
    known.learn([A, B], {})
    assert not known.guests and known.needs_leases([A, B])
    known.learn([A, B], {A: {"takes_invitations": True}})
    assert known.guests == [A] and known.needs_leases([A, B]) and not known.needs_leases([A])
    known.learn([A, B], {B: {}})
    assert known.guests == [A] and not known.needs_leases([A, B])
    known.learn([B], {A: {"takes_invitations": True}})
    assert not known.guests and known.needs_leases([A])


def test_interface_servers_get_the_same_part_of_the_free_places() -> None:
    assert invitations(A).quota(1_000, 0.0) == QUOTA_MAX
    assert invitations(A).quota(5, 0.0) == 5
    assert invitations(A, B).quota(5, 0.0) == 2
    assert invitations(A, B).quota(1, 0.0) == 0  # one of them would be sent away
    assert invitations(A).quota(0, 0.0) == invitations(A).quota(-3, 0.0) == 0


def test_nobody_is_invited_who_is_not_known() -> None:
    assert invitations().quota(5, 0.0) == 0


def test_a_request_that_is_read_again_is_not_the_next() -> None:
    known = invitations(A)
    assert known.last(A) == 0
    assert known.is_next(A, 3) and known.last(A) == 3
    assert not known.is_next(A, 3) and not known.is_next(A, 2)
    assert known.is_next(A, 7) and known.is_next(B, 1)


def test_the_last_number_is_remembered_of_so_many_and_also_of_those_that_left() -> None:
    known = invitations(A)
    known.is_next(A, 1)
    known.learn([], {})
    assert not known.is_next(A, 1)
    for number in range(REMEMBERED_MAX):
        known.is_next(f"interface.{number}", 1)
    assert known.last(A) == 0


def test_a_worker_whose_loop_was_blocked_invites_nobody_for_a_while_and_longer_each_time() -> None:
    known, now = invitations(A), 100.0
    calm_s = CALM_S
    for _ in range(8):
        known.blocked(now)
        known.blocked(now + calm_s / 2)  # while it invites nobody a block changes nothing
        assert known.quota(8, now + 0.99 * calm_s) == 0
        now += calm_s
        assert known.quota(8, now) == 8
        calm_s = min(2 * calm_s, CALM_S_MAX)
    now += SOON_S
    known.blocked(now)
    assert known.quota(8, now + CALM_S) == 8


def test_the_last_number_of_a_guest_is_forgotten_last() -> None:
    known = invitations(A)
    known.is_next(A, 1)
    for number in range(REMEMBERED_MAX + 1):
        known.is_next(f"interface.{number}", 1)
    assert known.last(A) == 1


def test_an_application_is_quick_when_so_many_requests_have_begun_in_short_turns() -> None:
    """The first ones of a process often load something. What blocks the loop, or nearly does, begins the count anew."""
    known = invitations(A)
    assert not known.is_quick
    known.began(QUICK_AFTER - 1, QUICK_S)
    assert not known.is_quick
    known.began(1, QUICK_S)
    assert known.is_quick
    known.began(1, 1.1 * QUICK_S)
    assert not known.is_quick
    known.began(QUICK_AFTER, 0.0)
    assert known.is_quick
    known.blocked(100.0)
    assert not known.is_quick
    known.began(QUICK_AFTER, 0.0)
    known.blocked(100.0 + CALM_S / 2)  # by a request of the shared channel, while it rests
    assert not known.is_quick
