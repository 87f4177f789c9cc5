"""The commands for shared channels: what they are called with, and what their answers mean."""

from __future__ import annotations

from typing import Any

import pytest

from channel_layer.application.shared_commands import (
    FLUSH_COUNT,
    GROUP_CHANNELS_MAX,
    channels_command,
    channels_to_send_to,
    check_shared,
    drop_channels,
    drop_memberships,
    groups_command,
    join_terms,
    send_terms,
    statistics,
    statistics_commands,
    too_many,
)
from channel_layer.errors import InvalidName
from channel_layer.protocol.keys import Keys

KEYS = Keys("p:")


@pytest.mark.parametrize("channel", ["http.request", "websocket.connect"])
def test_the_channels_of_connections_are_refused(channel: str) -> None:
    """All others are those of applications."""
    assert check_shared("thumbnails") == "thumbnails"
    with pytest.raises(InvalidName, match=channel):
        check_shared(channel)


def test_the_terms_of_a_send_are_those_of_its_script() -> None:
    """The keys outlive the message, and the error of a full channel names both limits."""
    terms = send_terms(KEYS, "thumbnails", 100, 1_000, 60_000)
    assert terms.keys == ("p:channel:thumbnails", "p:channel-size:thumbnails", "p:shared-channels")
    assert terms.limits == (100, 1_000, 120_000, "workers", 60_000, "thumbnails")
    assert terms.full == "thumbnails holds 100 messages, or 1000 bytes: the capacity of the channel"


def test_a_flush_drops_all_channels_and_memberships_in_parts() -> None:
    """Redis does nothing else during a command."""
    assert channels_command(KEYS) == ("ZRANGE", "p:shared-channels", 0, -1)
    assert list(drop_channels(KEYS, [])) == list(drop_memberships(KEYS, [])) == []
    assert list(drop_channels(KEYS, [b"a", b"b"])) == [
        ("DEL", "p:channel:a", "p:channel-size:a", "p:channel:b", "p:channel-size:b")
    ]
    assert groups_command(KEYS) == ("ZRANGE", "p:groups-with-channels", 0, -1)
    assert list(drop_memberships(KEYS, [b"room"])) == [
        ("DEL", "p:group-channels:room"),
        ("ZREM", "p:groups-with-channels", "room"),
    ]
    many = [str(number).encode() for number in range(FLUSH_COUNT + 1)]
    assert [len(command) for command in drop_channels(KEYS, many)] == [1 + 2 * FLUSH_COUNT, 3]


@pytest.mark.parametrize(
    ("oldest", "pending", "age_s"),
    [
        ([], 0, 0.0),
        ([[b"99500-3", [b"b", b""]]], 2, 1.0),
        ([[b"101000-0", [b"b", b""]]], 1, 0.0),  # the clock of Redis was set back
    ],
)
def test_the_age_of_the_oldest_is_by_the_clock_of_redis(oldest: Any, pending: int, age_s: float) -> None:
    """An id of an entry begins with the time of its arrival."""
    assert statistics_commands(KEYS, "a") == (
        ("XRANGE", "p:channel:a", "-", "+", "COUNT", 1),
        ("XLEN", "p:channel:a"),
        ("TIME",),
    )
    found = statistics([oldest, pending, [b"100", b"500000"]])
    assert found == {"messages_pending": pending, "messages_max_age": age_s}


@pytest.mark.parametrize(
    ("published", "excluded", "channels"),
    [
        (3, [], []),
        (3, ["mails"], []),
        ([0, b"mails", b"thumbnails"], [], ["mails", "thumbnails"]),
        ([0, b"mails", b"thumbnails"], ["mails", "a!1"], ["thumbnails"]),
        ([0, b"mails"], ["mails"], []),
        ([0, b"\xff"], [], ["\ufffd"]),
        (None, [], []),
    ],
)
def test_the_channels_are_those_of_the_script_without_the_excluded_ones(
    published: Any, excluded: list[str], channels: list[str]
) -> None:
    """Without shared channels the result is a number."""
    assert channels_to_send_to(published, excluded) == channels


def test_the_error_of_a_group_with_too_many_names_it() -> None:
    """And how many are too many."""
    assert "room" in too_many("room") and str(GROUP_CHANNELS_MAX) in too_many("room")


def test_the_terms_of_a_membership_are_those_of_its_script() -> None:
    """A channel of connections is no member."""
    assert join_terms(KEYS, "room", "mails", 5_000) == (
        ("p:group-channels:room", "p:groups-with-channels"),
        ("mails", 5_000, GROUP_CHANNELS_MAX, "room"),
    )
    with pytest.raises(InvalidName):
        join_terms(KEYS, "room", "http.request", 5_000)
