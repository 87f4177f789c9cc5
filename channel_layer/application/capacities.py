"""How many messages each channel of an application holds: a default, and patterns of which the first that matches counts.

Source: Channels specification, "Capacity"; `channel_capacity` as channels_redis takes it, globs and compiled regular expressions.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

CAPACITY = 100
EXPIRY_S = 60.0
GROUP_EXPIRY_S = 86_400.0

#: A glob (`http.*`), or a compiled regular expression that must match from the beginning of the name.
Pattern = str | re.Pattern[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerSettings:
    """What one user of the channel layer decides about the channels that it makes and sends to. Raises ValueError if it is none."""

    capacity: int = CAPACITY  #: messages that one channel holds: then ChannelFull
    channel_capacity: Mapping[Pattern, int] = field(
        default_factory=dict
    )  #: the same for the channels that match, first match first
    expiry_s: float = EXPIRY_S  #: how long a message waits for its receiver: then it is dropped and counted
    group_expiry_s: float = GROUP_EXPIRY_S  #: an application channel that is not received from for so long ends
    #: The same for one whose last receiver was cancelled; None: as long.
    abandoned_s: float | None = None

    def __post_init__(self) -> None:
        for name, number in (("capacity", self.capacity), *((str(key), n) for key, n in self.channel_capacity.items())):
            if type(number) is not int or number < 1:
                raise ValueError(f"the capacity {name} is {number!r}; it is an int from 1 on")
        for name, seconds in (("expiry", self.expiry_s), ("group_expiry", self.group_expiry_s)):
            if not isinstance(seconds, int | float) or not seconds > 0:
                raise ValueError(f"{name} is {seconds!r}; it is a number of seconds above 0")

    @property
    def expiry_ms(self) -> int:
        """The expiry as it travels, at least 1 ms."""
        return max(1, int(1000 * self.expiry_s))


class Capacities:
    """Finds the capacity of each channel by its name."""

    __slots__ = ("_default", "_patterns")

    def __init__(self, settings: LayerSettings) -> None:
        self._default = settings.capacity
        self._patterns = [
            (re.compile(fnmatch.translate(pattern)) if isinstance(pattern, str) else pattern, capacity)
            for pattern, capacity in settings.channel_capacity.items()
        ]

    def of(self, channel: str) -> int:
        """The capacity of `channel`, by its full name."""
        for pattern, capacity in self._patterns:
            if pattern.match(channel):
                return capacity
        return self._default
