"""Windows and credit: how much may be sent, and when the receiver allows more."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from channel_layer.protocol.flow_control import (
    GROWTH_BELOW_BYTES,
    WINDOW_BYTES_MAX,
    WINDOW_BYTES_SMALL,
    Budget,
    Incoming,
    Outgoing,
)


def test_a_whole_message_may_go_while_any_credit_is_left() -> None:
    """P5. The bound of a buffer is its window and one message."""
    window = Outgoing(100)
    window.sent += 99
    assert window.has_credit
    window.sent += 1_000
    assert not window.has_credit
    assert not window.allow(1_000)
    assert window.allow(1_100)
    assert window.has_credit


def test_credit_may_be_repeated_and_lost() -> None:
    """Totals, never increments."""
    window = Outgoing(100)
    window.sent = 150
    assert window.allow(300)
    assert not window.allow(200)
    assert window.allowed == 300


def budget_of_small_windows() -> Budget:
    return Budget(1, WINDOW_BYTES_SMALL)


@given(st.lists(st.integers(64, 5_000), max_size=200))
def test_a_receiver_tells_at_half_a_window_and_never_allows_more_than_a_window(sizes: list[int]) -> None:
    """P5. Between two words of the receiver at most half a window is consumed; what is allowed is consumed + window."""
    window, budget = Incoming(16_384), budget_of_small_windows()
    consumed = 0
    for size in sizes:
        consumed += size
        told = window.consume(size, budget)
        assert told is None or told == consumed + 16_384
        assert consumed + 16_384 - window.announced < 16_384 // 2


def test_the_windows_of_a_process_add_up_to_its_budget_however_many_connections_come() -> None:
    """P5. Also of those that never take anything, and of those that take all the while."""
    budget, windows = Budget(256 << 20, 1024), []
    for number in range(50_000):
        windows.append(Incoming(budget.grant()))
        assert number > 250 or windows[-1].window == WINDOW_BYTES_MAX
        assert number > 1000 or windows[-1].window >= WINDOW_BYTES_SMALL
        if number % 10 == 0:
            taker = windows[number // 2]
            taker.consume(taker.window, budget)
    assert sum(window.window for window in windows) == budget.granted_bytes < 256 << 20
    assert min(window.window for window in windows) >= 1024
    for window in windows:
        budget.give_back(window.window)
    assert budget.granted_bytes == 0 and budget.grant() == WINDOW_BYTES_MAX


def test_a_window_that_is_alone_grows_and_a_few_share_what_it_would_have() -> None:
    """P5. A download moves in large entries where nothing waits behind them; all of an inbox is never more than five first windows."""
    for number in (1, 2, 3, 4, 5, 40):
        budget = Budget(256 << 20, 1024)
        windows = [Incoming(budget.grant()) for _ in range(number)]
        for _ in range(40):
            for taker in windows:
                taker.consume(taker.window, budget)
                assert budget.granted_bytes == sum(window.window for window in windows)
                assert budget.granted_bytes <= max(GROWTH_BELOW_BYTES, number * WINDOW_BYTES_MAX)
        smallest, *_, largest = sorted(window.window for window in [*windows, windows[0]])
        assert largest - smallest < 4096, "they share it evenly in the end"
        assert smallest > WINDOW_BYTES_MAX if number < 5 else largest == WINDOW_BYTES_MAX
        assert number > 1 or windows[0].window == 1 << 20
        for window in windows:
            budget.give_back(window.window)
        assert budget.granted_bytes == 0


def test_a_window_that_began_below_the_largest_does_not_grow() -> None:
    """So the messages of a WebSocket to its application stay as few as its window says."""
    budget = Budget(256 << 20, 1024)
    window = Incoming(budget.grant(1, WINDOW_BYTES_SMALL))
    window.consume(window.window, budget)
    assert window.window == WINDOW_BYTES_SMALL


def test_a_grown_window_shrinks_by_half_at_most_when_others_come() -> None:
    """P5. Its sender has that much credit already."""
    budget = Budget(256 << 20, 1024)
    window = Incoming(budget.grant())
    sizes = []
    for step in range(4):
        window.consume(window.window, budget)
        sizes.append(window.window)
        if step == 0:
            for _ in range(10):
                budget.grant()
    assert sizes == [1 << 20, 1 << 19, WINDOW_BYTES_MAX, WINDOW_BYTES_MAX]


def test_beyond_the_budget_each_connection_gets_the_least_there_is() -> None:
    budget = Budget(1 << 20, 1024)
    windows = [budget.grant() for _ in range(10_000)]
    assert set(windows[1000:]) == {1024} and budget.granted_bytes < (1 << 20) + 10_000 * 1024


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 300_000)), max_size=100))
def test_a_window_that_grows_or_shrinks_never_leaves_its_sender_without_a_way_on(steps: list[tuple[int, int]]) -> None:
    """P5. A sender who has used what it was told, all of which was consumed, is told of more; no total ever shrinks."""
    budget = Budget(4 << 20, 1024)
    windows = [(Incoming(window), Outgoing(window)) for window in (budget.grant() for _ in range(4))]
    crowd: list[int] = []
    for which, size in steps:
        incoming, outgoing = windows[which]
        crowd.append(budget.grant())
        if size % 3 == 0:
            while crowd:
                budget.give_back(crowd.pop())
        assert outgoing.has_credit
        outgoing.sent += size
        before = incoming.announced
        if (total := incoming.consume(size, budget)) is not None:
            assert total > before
            outgoing.allow(total)
        assert outgoing.allowed - outgoing.sent <= incoming.window


def test_an_epoch_that_begins_with_more_outstanding_than_its_window_announces_none() -> None:
    """P5. The next owner gets credit when the client has taken half a window of what the last one sent."""
    budget = Budget(4 << 20, 1024)
    assert Incoming(1000).first_window() == 1000
    assert Incoming(1000, outstanding=400).first_window() == 600
    incoming, outgoing = Incoming(1000, outstanding=1500), Outgoing(0)
    assert incoming.first_window() == 0 and not outgoing.has_credit
    assert incoming.consume(400, budget) is None, "less than half a window"
    total = incoming.consume(1100, budget)
    assert total == 1000 and outgoing.allow(total)
