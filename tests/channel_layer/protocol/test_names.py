"""Names of channels and groups: which are legal, and which error refuses the others."""

from __future__ import annotations

import pytest

from channel_layer.errors import InvalidName
from channel_layer.protocol.names import (
    application_channel,
    check_channel,
    check_channel_prefix,
    check_exclude,
    check_group,
    reply_channel,
)


@pytest.mark.parametrize("name", ["chat", "a.b-c_d", "worker.9f!12", "x!", "a" * 99])
def test_names_that_are_names(name: str) -> None:
    """Channels specification: fewer than 100 of [a-zA-Z0-9_.-], with one '!' for a process-local channel."""
    assert check_channel(name) == name


@pytest.mark.parametrize("name", ["", "a" * 100, "a b", "ä", "a!b!c", "!b", "a\n", b"bytes", None, 7])
def test_names_that_are_none(name: object) -> None:
    """A caller's bug is told at once, with what was tried."""
    with pytest.raises(InvalidName):
        check_channel(name)


def test_a_group_name_has_no_exclamation_mark() -> None:
    """Groups are not channels."""
    assert check_group("chat") == "chat"
    with pytest.raises(InvalidName):
        check_group("chat!1")


@pytest.mark.parametrize("prefix", ["", "bad name!", "a!b", "a" * 61, None])
def test_a_prefix_is_called_a_prefix(prefix: object) -> None:
    with pytest.raises(InvalidName, match=r"^channel prefix .* is not 1 to 60 of"):
        check_channel_prefix(prefix)


def test_the_longest_prefix_leaves_room_for_the_name() -> None:
    """The longest role, and the most random digits."""
    prefix = check_channel_prefix("a" * 60)
    assert check_channel(application_channel("background.0123456789ab", prefix, "0011223344ff"))
    assert check_channel(f"{prefix}.0123456789abcdef")


@pytest.mark.parametrize("exclude", ["one.name", b"one.name", None, 5])
def test_channels_to_exclude_are_a_list(exclude: object) -> None:
    """A text is a sequence of texts: each letter would be a channel."""
    with pytest.raises(InvalidName, match=r"^exclude is .*; it is a list of channel names"):
        check_exclude(exclude)
    with pytest.raises(InvalidName, match="channel name"):
        check_exclude(["fine", "not fine"])
    assert check_exclude(name for name in ("a", "b")) == ["a", "b"]


def test_every_reply_channel_is_a_channel_name() -> None:
    """Whatever a node and a number are called."""
    assert check_channel(reply_channel("interface.0123456789ab", 2**40))


def test_every_application_channel_is_a_channel_name_and_no_reply_channel() -> None:
    """Its local part is never a number."""
    name = check_channel(application_channel("worker.0123456789ab", "specific", "0011223344ff"))
    assert not name.partition("!")[2].isdecimal()
