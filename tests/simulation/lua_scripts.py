"""The real scripts, run by a real Lua 5.1 against the simulated server: what is tested is what is shipped."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from lupa.lua51 import LuaRuntime, lua_type  # type: ignore[import-untyped]

Command = list[bytes]
Execute = Callable[[Command], Any]


class CommandError(Exception):
    """What Redis answers with `-`."""


_lua = LuaRuntime(encoding=None)


def _pack(form: bytes, number: float) -> bytes:
    """As `struct.pack`, the one library of Redis' Lua that is used here and that Lua itself does not have."""
    assert form == b">I8", form
    return int(number).to_bytes(8, "big")


_lua.globals()[b"struct"] = _lua.table_from({b"pack": _pack})


def run(text: str, execute: Execute, keys: Command, arguments: Command) -> Any:
    """One script; `execute` runs the commands it calls."""

    def call(*command: Any) -> Any:
        return _to_lua(execute([_argument(value) for value in command]))

    def pcall(*command: Any) -> Any:
        try:
            return call(*command)
        except CommandError as error:
            return _lua.table_from({b"err": str(error).encode()})

    redis = _lua.table_from({b"call": call, b"pcall": pcall})
    return _from_lua(_compiled(text)(redis, _lua.table_from(keys), _lua.table_from(arguments)))


@cache
def _compiled(text: str) -> Any:
    return _lua.execute(b"return function(redis, KEYS, ARGV)\n" + text.encode() + b"\nend")


def _argument(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    return b"%d" % value if value == int(value) else repr(value).encode()


def _to_lua(answer: Any) -> Any:
    if answer is None:
        return False
    if isinstance(answer, list | tuple):
        return _lua.table_from([_to_lua(part) for part in answer])
    return answer


def _from_lua(value: Any) -> Any:
    if value is None or value is False:
        return None
    if value is True:
        return 1
    if isinstance(value, float):
        return int(value)
    if lua_type(value) == "table":
        parts: list[Any] = []
        while (part := value[len(parts) + 1]) is not None:
            parts.append(_from_lua(part))
        return parts
    return value
