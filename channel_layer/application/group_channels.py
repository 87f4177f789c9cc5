"""The shared channels of a group: how many there may be, and which of them get a message. docs/protocol/groups.md, P10.

Source of the names: the publish script, which returns those whose membership has not ended.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

#: Shared channels that one group may have: each costs its senders one command more.
GROUP_CHANNELS_MAX = 1_000


def channels_to_send_to(published: Any, excluded: Collection[str]) -> list[str]:
    """The shared channels to which a published message is to be sent.

    published: the result of the publish script, a number, or a list of the number and the names.
    """
    if type(published) is not list:
        return []
    names = (name.decode(errors="replace") for name in published[1:])
    return [name for name in names if name not in excluded]


def too_many(group: str) -> str:
    """The text of the error of a group that takes no further shared channel."""
    return f"group {group} has {GROUP_CHANNELS_MAX} shared channels, and takes no more"
