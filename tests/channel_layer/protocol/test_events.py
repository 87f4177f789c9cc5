"""Messages of ASGI's types: what is refused before it is sent, and how large an event counts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_layer.errors import InvalidMessage
from channel_layer.protocol import codec
from channel_layer.protocol.events import check_message, payload_size_bytes


@dataclass
class Note:
    """A value of an application's own type."""

    number: int


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({1}, "message['x']"),
        (math.nan, "message['x']"),
        (-math.inf, "message['x']"),
        (2**63, "message['x']"),
        ([b"fine", object()], "message['x'][1]"),
        ({"deep": {"deeper": (1, {2: 3})}}, "message['x']['deep']['deeper'][1]"),
        (-(2**63) - 1, "message['x']"),
        ([{b"key": 1}], "message['x'][0] has a key of type bytes"),
        ([frozenset()], "message['x'][0] is of type frozenset"),
        ([bytearray(b"x")], "message['x'][0] is of type bytearray"),
        ([datetime(2026, 1, 1)], "message['x'][0] is of type datetime"),
        ([Decimal(1)], "message['x'][0] is of type Decimal"),
        ([UUID(int=1)], "message['x'][0] is of type UUID"),
        ([Note(1)], "message['x'][0] is of type Note"),
        ("a\ud800", "message['x'] contains half of a surrogate pair (U+D800 at 1)"),
        ([{"y": "\udcff"}], "message['x'][0]['y'] contains half"),
        ([{"\udcff": 1}], "message['x'][0] has the key '\\udcff', which contains half"),
    ],
)
def test_what_is_not_of_asgis_types_is_named_by_its_path(value: object, path: str) -> None:
    """The sender hears where it stands; the reader never meets it."""
    with pytest.raises(InvalidMessage) as error:
        check_message({"type": "test", "x": value})
    assert path in str(error.value)


def test_depth_is_bounded() -> None:
    """A message of a thousand levels is no message, and one of 32 is: the message itself is the first."""
    value: object = 1
    for _ in range(31):
        value = [value]
    check_message({"type": "test", "x": value})
    for _ in range(1000):
        value = [value]
    with pytest.raises(InvalidMessage, match=r"^message\['x'\](\[0\]){31} is nested deeper than 32 levels"):
        check_message({"type": "test", "x": value})


@pytest.mark.parametrize("message", [None, [], {}, {"type": 1}, {"typ": "x"}])
def test_a_message_is_a_dict_with_a_type(message: object) -> None:
    """Nothing else is sent."""
    with pytest.raises(InvalidMessage):
        check_message(message)


asgi_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])) | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), asgi_values, max_size=4))
def test_what_passes_the_check_comes_back_as_it_was(content: dict[str, object]) -> None:
    """Bytes stay bytes, text stays text."""
    message = {**content, "type": "test"}
    check_message(message)
    assert codec.unpack(codec.pack(message)) == message


@pytest.mark.parametrize(
    ("event", "size"),
    [
        ({"type": "http.request", "body": b"four", "more_body": True}, 68),
        ({"type": "websocket.receive", "text": "äö"}, 68),
        ({"type": "websocket.receive", "bytes": b""}, 64),
        ({"type": "http.response.start", "status": 200, "headers": [(b"x", b"y")]}, 64),
    ],
)
def test_an_event_counts_its_payload_and_64_bytes(event: dict[str, object], size: int) -> None:
    """Both ends count alike, or a window would leak. PROTOCOL.md, P5."""
    assert payload_size_bytes(event) == size
