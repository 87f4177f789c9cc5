"""A blocking client of Redis with one connection, for one thread at a time: the lease's thread, and the commands of `towpath`.

It connects when it is first used, and anew after a loss. Nothing is sent twice. (blocking/pool.py serves any number of threads.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import hiredis

from channel_layer.errors import LayerUnavailable, NothingSent
from channel_layer.redis.address_file import AddressSource
from channel_layer.redis.blocking.connection import Answer, Argument, BlockingConnection, Place, connect, pack
from channel_layer.redis.blocking.primary_finder import PrimaryFinder
from channel_layer.redis.rejection_reasons import explained, is_passing, refusal, script_error

if TYPE_CHECKING:  # the scripts are for processes with a loop
    from channel_layer.redis.scripts import Script


class BlockingClient:
    """One client. Each error is one whole sentence for people."""

    __slots__ = ("_connection", "_finder", "_source", "_timeout_s")

    def __init__(self, source: AddressSource, timeout_s: float) -> None:
        """timeout_s: for connecting, and for each answer."""
        self._source = source
        self._finder = PrimaryFinder(source)
        self._timeout_s = timeout_s
        self._connection: BlockingConnection | None = None

    def call(self, *command: Argument) -> Any:
        """Run one command and return its answer. Raises NothingSent, also if Redis refuses it; LayerUnavailable without an answer."""
        (answer,) = self.exchange(pack(*command), 1)
        if isinstance(answer, hiredis.ReplyError):
            raise refusal(answer)(self._refusal(answer)) from answer
        return answer

    def run_script(self, script: Script, keys: Sequence[str], *arguments: Argument) -> Any:
        """Run a script and return its answer. Raises as `call`; LayerUnavailable also if Redis refuses a part of it."""
        (answer,) = self.exchange(pack("EVALSHA", script.digest, len(keys), *keys, *arguments), 1)
        if isinstance(answer, hiredis.ReplyError) and str(answer).startswith("NOSCRIPT"):
            (answer,) = self.exchange(pack("EVAL", script.text, len(keys), *keys, *arguments), 1)
        if isinstance(answer, hiredis.ReplyError):
            raise script_error(answer)(self._refusal(answer)) from answer
        return answer

    def exchange(self, packed: bytes, count: int) -> list[Answer]:
        """Send packed commands, and return the `count` answers to them, errors of Redis among them. Raises as `call` otherwise."""
        connection = self._connected()
        try:
            return connection.exchange(packed, count)
        except LayerUnavailable as error:
            raise type(error)(self._unreachable(error)) from error

    def close(self) -> None:
        """End the connection; the next call makes another one, which may lead to another server."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def forked(self) -> None:
        """Close what a forked child has inherited."""
        if self._connection is not None:
            self._connection.forked()

    def __enter__(self) -> BlockingClient:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _connected(self) -> BlockingConnection:
        """The connection, or a new one if Redis has ended it. Raises NothingSent."""
        if self._connection is None or not self._connection.usable:
            self.close()
            self._connection = connect(self._source.current(), self._place(), self._timeout_s)
        return self._connection

    def _place(self) -> Place:
        try:
            return self._finder.find()
        except NothingSent as error:
            raise type(error)(self._unreachable(error)) from error

    def _unreachable(self, error: LayerUnavailable) -> str:
        return f"Redis at {self._source.current().shown} is unreachable: {error}"

    def _refusal(self, answer: hiredis.ReplyError) -> str:
        return f"Redis at {self._source.current().shown} refuses us: {explained(answer)}"


def is_final(error: LayerUnavailable) -> bool:
    """True if Redis or a Sentinel refused the call of a BlockingClient, for a reason that does not pass by itself."""
    return not error.retry or (isinstance(error.__cause__, hiredis.ReplyError) and not is_passing(error))
