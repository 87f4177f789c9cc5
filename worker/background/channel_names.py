"""The channels that a worker was told to receive from: names, and patterns as of a shell."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import translate

WILDCARDS = frozenset("*?[")


def is_pattern(name: str) -> bool:
    """True if `name` stands for all channels that match it: `*` for any characters, `?` for one, `[ab]` for one of these."""
    return not WILDCARDS.isdisjoint(name)


class ChannelNames:
    """Names and patterns of one worker."""

    __slots__ = ("_dead_letter", "_patterns", "fixed", "given")

    def __init__(self, names: Iterable[str], dead_letter: str) -> None:
        """dead_letter: the channel that no pattern matches. What fails there would go there again, without end."""
        self.given = names = tuple(names)  #: as the operator gave them
        self.fixed = tuple(name for name in names if not is_pattern(name))  #: those that are no patterns
        self._patterns = [re.compile(translate(name)) for name in names if is_pattern(name)]
        self._dead_letter = dead_letter

    @property
    def has_patterns(self) -> bool:
        """True if there is any pattern."""
        return bool(self._patterns)

    def matches(self, channel: str) -> bool:
        """True if a pattern matches a channel that is not named by itself."""
        if channel == self._dead_letter or channel in self.fixed:
            return False
        return any(pattern.match(channel) for pattern in self._patterns)
