"""Header fields of a response: what passes, and which error names the place of what does not. P12."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.asgi.header_fields import checked_fields, is_field_name
from worker.errors import InvalidEvent


@pytest.mark.parametrize("fields", [None, [], ()])
def test_no_fields_are_an_empty_list(fields: object) -> None:
    """ASGI lets an application leave `headers` out."""
    assert checked_fields(fields) == []


def test_fields_keep_their_order_their_case_and_their_repetitions() -> None:
    fields = [(b"Set-Cookie", b"a=1"), (b"x", b""), (b"Set-Cookie", b"b=2")]
    assert checked_fields(fields) == fields


@pytest.mark.parametrize("fields", [[[b"a", b"b"]], ((b"a", b"b"),), iter([(b"a", b"b")]), {b"a": b"b"}.items()])
def test_any_iterable_of_pairs_becomes_a_list_of_tuples(fields: object) -> None:
    assert checked_fields(fields) == [(b"a", b"b")]


class Field:
    """A pair of the application's own type, whose value changes from response to response."""

    def __init__(self) -> None:
        self.value = b""

    def __iter__(self) -> Iterator[bytes]:
        return iter((b"x-user", self.value))


@pytest.mark.parametrize("as_it_comes", [list, tuple])
def test_a_pair_that_can_change_is_read_anew_each_time(as_it_comes: type) -> None:
    """What was meant for one client never reaches another."""
    field = Field()
    for value in (b"alice", b"bob"):
        field.value = value
        assert checked_fields(as_it_comes([field])) == [(b"x-user", value)]
    field.value = b"evil\r\nx: y"
    with pytest.raises(InvalidEvent):
        checked_fields(as_it_comes([field]))


def test_subclasses_of_bytes_become_plain_bytes() -> None:
    """What travels is never an object of the application."""

    class Own(bytes):
        pass

    (pair,) = checked_fields([(Own(b"a"), Own(b"b"))])
    assert [type(part) for part in pair] == [bytes, bytes] and pair == (b"a", b"b")


@pytest.mark.parametrize("control", [b"\r", b"\n", b"\r\nset-cookie: a=b", b"\0", b"\x1f", b"\x7f", b"\x0b"])
def test_a_control_character_in_a_value_is_refused_wherever_it_stands(control: bytes) -> None:
    """RFC 9110, 5.5. It could begin a field or a response of its own."""
    for value in (control, b"a" + control, control + b"a"):
        with pytest.raises(InvalidEvent, match=r"headers\[1\]\[1\]"):
            checked_fields([(b"fine", b"fine"), (b"location", value)])


@pytest.mark.parametrize(
    "value", [b"a\tb", b"caf\xe9", b" padded ", bytes(range(0x20, 0x7F)), bytes(range(0x80, 0x100))]
)
def test_tabs_and_all_visible_bytes_pass_unchanged(value: bytes) -> None:
    assert checked_fields([(b"x", value)]) == [(b"x", value)]


@pytest.mark.parametrize("name", [b"", b"a b", b"a:", b"a\r\nb", b"(x)", b"\xff", b"a,b", b'"a"'])
def test_a_name_that_is_no_token_is_refused(name: bytes) -> None:
    """RFC 9110, 5.1."""
    assert not is_field_name(name)
    with pytest.raises(InvalidEvent, match=r"headers\[0\]\[0\]"):
        checked_fields([(name, b"x")])


@pytest.mark.parametrize("pair", [("a", b"b"), (b"a", "b"), (b"a", None), (b"a", 7), (bytearray(b"a"), b"b")])
def test_parts_that_are_not_bytes_are_named_by_their_type(pair: tuple[object, object]) -> None:
    with pytest.raises(InvalidEvent, match="header fields are bytes"):
        checked_fields([pair])


@pytest.mark.parametrize("fields", [[(b"a",)], [(b"a", b"b", b"c")], [7], [None], 7, [b"abc"]])
def test_what_is_no_list_of_pairs_is_refused_with_its_place(fields: object) -> None:
    with pytest.raises(InvalidEvent, match=r"headers\[0\] is not a pair"):
        checked_fields(fields)


@given(st.lists(st.tuples(st.binary(max_size=8), st.binary(max_size=8)), max_size=4))
def test_what_passes_cannot_break_out_of_its_line(fields: list[tuple[bytes, bytes]]) -> None:
    """Whatever an application sends: either an error, or fields without a line break."""
    try:
        checked = checked_fields(fields)
    except InvalidEvent:
        return
    assert checked == fields
    assert not any(set(name + value) & set(b"\r\n\0") for name, value in checked)
