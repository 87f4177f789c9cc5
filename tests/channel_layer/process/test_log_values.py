"""Values of foreign origin in a log line: one line, bounded, and never a container in full."""

from __future__ import annotations

import pytest

from channel_layer.process.log_values import CHARS_MAX, printable, shown


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("worker.1", "'worker.1'"),
        ("two\nlines", r"'two\nlines'"),
        (b"\x00\xff", r"b'\x00\xff'"),
        (7, "7"),
        (1.5, "1.5"),
        (None, "None"),
        (True, "True"),
    ],
)
def test_a_plain_value_is_written_as_python_writes_it(value: object, text: str) -> None:
    """So no value can begin a log line of its own."""
    assert shown(value) == text


@pytest.mark.parametrize("value", ["x" * 10_000, b"\xff" * 10_000, 10**500, "\n" * CHARS_MAX])
def test_no_value_is_longer_than_the_limit(value: object) -> None:
    """A peer cannot fill the log."""
    assert len(shown(value)) <= CHARS_MAX


def test_a_container_is_named_by_its_type_however_deep_it_is() -> None:
    """Formatting it could raise RecursionError, or take as long as it is large."""
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert shown(deep) == "of type list"
    assert shown({"key": "value"}) == "of type dict"
    assert shown(object()) == "of type object"


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("worker 1 é 漢", "worker 1 é 漢"),
        ("a\u202eb", r"a\u202eb"),
        ("\x1b[2J\n", r"\x1b[2J\n"),
        ("\u200b\ufeff\xad", r"\u200b\ufeff\xad"),
        ("\ud800\U000e0041", r"\ud800\U000e0041"),
    ],
)
def test_what_is_not_seen_or_turns_a_line_around_is_written_out(text: str, seen: str) -> None:
    """Two names that look alike are two, and no name changes what stands beside it."""
    assert printable(text) == seen
