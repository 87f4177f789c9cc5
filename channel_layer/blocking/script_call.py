"""A script with all its keys and arguments but one, which are packed once for all calls."""

from __future__ import annotations

from collections.abc import Sequence

from channel_layer.redis.blocking.connection import pack
from channel_layer.redis.connection import Argument
from channel_layer.redis.scripts import Script

_EMPTY = b"$0\r\n\r\n"


class ScriptCall:
    """Packs the calls of one script. For any thread."""

    __slots__ = ("_after", "_before", "_head", "_tail", "script")

    def __init__(
        self, script: Script, keys: Sequence[str], before: Sequence[Argument] = (), after: Sequence[Argument] = ()
    ) -> None:
        """before, after: the arguments in front of the one that is missing, and behind it."""
        self.script = script
        self._before = (len(keys), *keys, *before)
        self._after = after
        tail = pack(*after)[len(f"*{len(after)}\r\n") :] if after else b""
        whole = pack("EVALSHA", script.digest, *self._before, b"", *after)
        self._head = whole[: len(whole) - len(_EMPTY) - len(tail)]
        self._tail = b"\r\n" + tail

    def packed(self, argument: bytes) -> bytes:
        """The call with this argument, by the script's hash."""
        return b"%b$%d\r\n%b%b" % (self._head, len(argument), argument, self._tail)

    def packed_with_text(self, argument: bytes) -> bytes:
        """The same by the script's text, for a server that does not know it yet."""
        return pack("EVAL", self.script.text, *self._before, argument, *self._after)
