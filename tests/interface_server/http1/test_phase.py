"""Phases of a connection."""

from __future__ import annotations

from interface_server.http1.phase import EXCHANGE, GONE, HEAD, IDLE, LINGERING, MOVES, Phase


def test_each_phase_has_its_moves_and_each_can_end():
    assert set(MOVES) == set(Phase)
    assert all(GONE in following for following in MOVES.values())


def test_a_request_is_served_between_two_idle_times_and_never_after_our_last_byte():
    """P1. No exchange begins inside another, or on a connection that is about to close."""
    begins = {phase for phase, following in MOVES.items() if EXCHANGE in following}
    assert begins == {IDLE, HEAD}
    assert MOVES[LINGERING] == MOVES[GONE] == (GONE,)
