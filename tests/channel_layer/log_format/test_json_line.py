"""A log line in JSON, whatever it is made of."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from channel_layer.log_format.json_line import json_line, unwrapped, utc_text, wrapped

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=())) | st.sampled_from(
    ["\ud800", "a\nb", "\u2028", "\x9b2J", '"}']
)


@given(st.dictionaries(st.sampled_from(["message", "target", "exception"]), ANY_TEXT | st.integers()))
def test_whatever_a_client_sends_a_line_is_one_object_in_ascii(fields: dict[str, object]) -> None:
    """It begins no second line, moves no cursor, and every parser takes it: no half of a surrogate pair is in it."""
    line = json_line(fields)
    assert line.isascii() and line.isprintable()
    parsed = json.loads(line)
    assert parsed.keys() == fields.keys()
    for name, value in parsed.items():
        str(value).encode()
        given = fields[name]
        assert value == given or ("\\ud" in str(value) and any("\ud800" <= each <= "\udfff" for each in str(given)))


@given(st.binary() | st.sampled_from([b"{", b'{"a": NaN}', b"[1]", b'{"a":' * 100_000, b'{"a": "\xff"}', b"\x00{}"]))
def test_every_line_of_a_process_becomes_an_object(line: bytes) -> None:
    """As its message, and the same line comes out of it again; bytes that are no text are shown as escapes."""
    line = line.replace(b"\n", b"")
    made = wrapped(line, "worker-0", 0.0)
    assert isinstance(json.loads(made), dict)
    assert b"\n" not in made
    if made != line:
        assert unwrapped(made) == line.decode("utf-8", "backslashreplace").encode()


def test_an_object_passes_unchanged_and_other_text_gets_the_name_of_its_process() -> None:
    """Lines of ours, and of an application that writes JSON itself; those of supervisord keep their level."""
    ours = b'{"level": "INFO", "process": "worker-0"}'
    assert wrapped(ours, "worker-0", 0.0) is ours
    assert json.loads(wrapped(b"hello", "redis", 0.5)) == {
        "time": "1970-01-01T00:00:00.500000Z",
        "level": "INFO",
        "logger": "output",
        "process": "redis",
        "message": "hello",
    }
    killed = b"2026-11-30 22:54:00,123 WARN exited: worker-0 (terminated by SIGKILL; not expected)"
    assert json.loads(wrapped(killed, "supervisord", 0.0))["level"] == "WARNING"
    assert json.loads(wrapped(b"it failed", "serve", 0.0, level="ERROR"))["level"] == "ERROR"
    assert unwrapped(ours) == ours


def test_fields_that_are_not_there_are_left_out_and_the_time_is_that_of_utc() -> None:
    """RFC 3339, which sorts as text."""
    assert json_line({"a": None, "b": 1.5}) == '{"b": 1.5}'
    assert utc_text(1796079240.25) == "2026-11-30T22:54:00.250000Z"
