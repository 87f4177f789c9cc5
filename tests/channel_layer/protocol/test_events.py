"""Messages of ASGI's types: what is refused before it is sent, and how large an event counts."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_layer.errors import InvalidMessage
from channel_layer.protocol import codec
from channel_layer.protocol.events import check_message, payload_size_bytes


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({1}, "message['x']"),
        (math.nan, "message['x']"),
        (-math.inf, "message['x']"),
        (2**63, "message['x']"),
        ([b"fine", object()], "message['x'][1]"),
        ({"deep": {"deeper": (1, {2: 3})}}, "message['x']['deep']['deeper'][1]"),
    ],
)
def test_what_is_not_of_asgis_types_is_named_by_its_path(value: object, path: str) -> None:
    """The sender hears where it stands; the reader never meets it."""
    with pytest.raises(InvalidMessage) as error:
        check_message({"type": "test", "x": value})
    assert path in str(error.value)


def test_depth_is_bounded() -> None:
    """A message of a thousand levels is no message."""
    value: object = 1
    for _ in range(1000):
        value = [value]
    with pytest.raises(InvalidMessage, match="deeper"):
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
