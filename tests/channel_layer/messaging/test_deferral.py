"""When a reader leaves what comes to others, and when no longer: decisions without a server. P7."""

from __future__ import annotations

from collections.abc import Iterable

from channel_layer.messaging.deferral import NOTHING, Deferral

MOMENT_S = 0.05
UNREAD = b"6-0"  #: entries up to this one have been read


def declining(looks: Iterable[tuple[bytes | None, bytes | None]]) -> Deferral:
    """A reader after these looks, one moment apart from 100.0 on; it has declined after each."""
    deferral = Deferral()
    for number, (waited, newest) in enumerate(looks):
        assert not deferral.record_check(waited, UNREAD, newest, MOMENT_S, 100.0 + number * MOMENT_S)
    return deferral


def test_who_leaves_nothing_to_anybody_reads() -> None:
    """Every reader, as long as it is not told otherwise."""
    assert not Deferral().should_defer(0.0, 100.0)
    assert Deferral().should_defer(MOMENT_S, 100.0)


def test_what_was_there_at_the_last_look_and_still_is_has_waited_for_long_enough() -> None:
    """P7. The others are full, slow or dead: for one moment it helps, and then looks again."""
    deferral = declining([(None, b"7-0")])
    assert deferral.seen == b"7-0"
    assert deferral.record_check(b"7-0", UNREAD, b"8-0", MOMENT_S, 200.0)
    assert not deferral.should_defer(MOMENT_S, 200.0 + MOMENT_S * 0.9)
    assert deferral.should_defer(MOMENT_S, 200.0 + MOMENT_S)
    assert deferral.seen == b"8-0"


def test_what_others_take_in_time_is_left_to_them() -> None:
    """P7. A queue that moves is never empty at a look, and is nobody's trouble."""
    deferral = declining([(None, b"7-0"), (None, b"8-0"), (None, b"9-0")])
    assert deferral.should_defer(MOMENT_S, 101.0)


def test_what_somebody_has_read_and_not_taken_is_claimed_and_calls_for_no_help() -> None:
    """P7. One entry of a reader that has gone would make all others help for two seconds, with everything that comes."""
    deferral = declining([(None, b"6-0"), (b"6-0", b"6-0"), (b"6-0", b"6-0")])
    assert deferral.should_defer(MOMENT_S, 101.0)
    assert deferral.record_check(b"10-0", b"9-5", b"10-0", MOMENT_S, 102.0), "ids are numbers, not text"


def test_a_look_that_comes_too_early_tells_nothing() -> None:
    """P7. News of a newer generation makes connections anew, and each of them looks at once."""
    deferral = declining([(None, b"7-0")])
    assert not deferral.record_check(b"7-0", UNREAD, b"8-0", MOMENT_S, 100.0 + MOMENT_S / 2)
    assert deferral.seen == b"7-0"
    assert deferral.record_check(b"7-0", UNREAD, b"8-0", MOMENT_S, 100.0 + MOMENT_S)


def test_help_is_over_when_nothing_is_left() -> None:
    """P7. What comes next is the others' again."""
    deferral = declining([(None, b"7-0")])
    assert deferral.record_check(b"7-0", UNREAD, b"8-0", MOMENT_S, 200.0)
    deferral.nothing_left()
    assert deferral.should_defer(MOMENT_S, 200.0)


def test_an_empty_queue_is_looked_at_from_its_beginning() -> None:
    """Entries of another life of Redis' data may have smaller ids than any that was seen."""
    deferral = declining([(None, b"7-0"), (None, None)])
    assert deferral.seen == NOTHING
    assert deferral.should_defer(MOMENT_S, 101.0)
