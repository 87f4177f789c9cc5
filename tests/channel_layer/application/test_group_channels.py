"""Which shared channels a message to a group is sent to."""

from __future__ import annotations

from typing import Any

import pytest

from channel_layer.application.group_channels import GROUP_CHANNELS_MAX, channels_to_send_to, too_many


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
