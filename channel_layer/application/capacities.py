"""How many messages each channel of an application holds: a default, and patterns of which the first that matches counts.

Source: Channels specification, "Capacity"; `channel_capacity` as channels_redis takes it, globs and compiled regular expressions.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from channel_layer.process.log_values import shown

CAPACITY = 100
EXPIRY_S = 60.0
GROUP_EXPIRY_S = 86_400.0
SECONDS_MAX = 1_000_000_000  #: 31 years; Redis and packets hold integers of milliseconds

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
    #: An application channel that is not received from for so long ends, and a shared channel is a member of a group for so long.
    group_expiry_s: float = GROUP_EXPIRY_S
    #: The same for one whose last receiver was cancelled; None: as long.
    abandoned_s: float | None = None
    capacities: Capacities = field(
        init=False, repr=False, compare=False
    )  #: of each channel, its patterns compiled once

    def __post_init__(self) -> None:
        check_capacity("capacity", self.capacity)
        check_capacities("channel_capacity", self.channel_capacity)
        check_seconds("expiry", self.expiry_s)
        check_seconds("group_expiry", self.group_expiry_s)
        object.__setattr__(self, "capacities", Capacities(self.capacity, self.channel_capacity))

    @property
    def expiry_ms(self) -> int:
        """The expiry as it travels, at least 1 ms."""
        return max(1, int(1000 * self.expiry_s))

    @property
    def group_expiry_ms(self) -> int:
        """How long a shared channel is a member of a group, as it travels, at least 1 ms."""
        return max(1, int(1000 * self.group_expiry_s))


def check_capacity(name: str, value: object) -> int:
    """Return `value`, the capacity that the option `name` has given, or raise ValueError."""
    if type(value) is not int or value < 1:
        raise ValueError(f"{name} is a number of messages above 0, not {shown(value)}")
    return value


def check_capacities(name: str, value: object) -> Mapping[Pattern, int]:
    """Return `value`, capacities by patterns, or raise ValueError."""
    if not isinstance(value, Mapping):
        raise ValueError(
            f"{name} is a dict from a glob or a compiled regular expression to a number of messages, not {shown(value)}"
        )
    for pattern, number in value.items():
        if not isinstance(getattr(pattern, "pattern", pattern), str):  # a compiled expression has its text there
            raise ValueError(f"{name}: {pattern!r} is neither a glob nor a compiled regular expression for text")
        check_capacity(f"{name}[{pattern!r}]", number)
    return value


def check_seconds(name: str, value: object) -> float:
    """Return `value`, the time that the option `name` has given, or raise ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= SECONDS_MAX:
        raise ValueError(f"{name} is a number of seconds above 0 and at most {SECONDS_MAX:,}, not {shown(value)}")
    return value


class Capacities:
    """Finds the capacity of each channel by its name."""

    __slots__ = ("_default", "_patterns")

    def __init__(self, default: int, patterns: Mapping[Pattern, int]) -> None:
        self._default = default
        self._patterns = [
            (re.compile(fnmatch.translate(pattern)) if isinstance(pattern, str) else pattern, capacity)
            for pattern, capacity in patterns.items()
        ]

    def of(self, channel: str) -> int:
        """The capacity of `channel`, by its full name."""
        for pattern, capacity in self._patterns:
            if pattern.match(channel):
                return capacity
        return self._default
