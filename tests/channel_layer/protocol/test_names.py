"""Names of channels and groups: which are legal, and which error refuses the others."""

from __future__ import annotations

import pytest

from channel_layer.errors import InvalidName
from channel_layer.protocol.names import application_channel, check_channel, check_group, reply_channel


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


def test_every_reply_channel_is_a_channel_name() -> None:
    """Whatever a node and a number are called."""
    assert check_channel(reply_channel("interface.0123456789ab", 2**40))


def test_every_application_channel_is_a_channel_name_and_no_reply_channel() -> None:
    """Its local part is never a number."""
    name = check_channel(application_channel("worker.0123456789ab", "specific", "0011223344ff"))
    assert not name.partition("!")[2].isdecimal()
