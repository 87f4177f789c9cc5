"""Calls of scripts that are packed once: the same bytes as those of a command that is packed whole."""

from __future__ import annotations

import pytest

from channel_layer.blocking.script_call import ScriptCall
from channel_layer.redis.blocking.connection import pack
from channel_layer.redis.scripts import PUBLISH, SEND


@pytest.mark.parametrize("before", [(), ("a", 1, b"\xff\r\n")])
@pytest.mark.parametrize("after", [(), (3_600_000,), ("ü", b"$0\r\n\r\n")])
@pytest.mark.parametrize("argument", [b"", b"$0\r\n\r\n", bytes(70_000)])
def test_a_call_is_the_command_that_redis_would_get_otherwise(
    before: tuple[str | bytes | int, ...], after: tuple[str | bytes | int, ...], argument: bytes
) -> None:
    """By the hash, and by the text for a server that does not know it."""
    call = ScriptCall(PUBLISH, ("first", "second"), before, after)
    rest = (2, "first", "second", *before, argument, *after)
    for _ in range(2):
        assert call.packed(argument) == pack("EVALSHA", PUBLISH.digest, *rest)
        assert call.packed_with_text(argument) == pack("EVAL", PUBLISH.text, *rest)


def test_a_script_without_keys_is_one_too() -> None:
    """Nothing stands in front of the argument but their number."""
    assert ScriptCall(SEND, ()).packed(b"x") == pack("EVALSHA", SEND.digest, 0, b"x")
