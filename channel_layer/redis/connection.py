"""One connection to Redis: commands out, replies in, in order. No command is ever sent twice.

Commands are pipelined: they leave as they come, and each reply goes to the callback of its command. When the connection is lost,
every command without a reply gets LayerUnavailable: its outcome is unknown, and only the caller knows what that means
(PROTOCOL.md, "Unknown outcomes"). hiredis packs and parses; uvloop moves the bytes.

Replies are matched to commands by their position, which must never slip. So no reply is expected to a command that cannot be
packed, and after a reply without a command (Redis greets a client beyond its limit with an error) the connection is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final, cast

import hiredis

from channel_layer.errors import LayerUnavailable
from channel_layer.process import forked_child
from channel_layer.redis.address import RedisAddress
from channel_layer.redis.blocking.connection import KEEPALIVE, READ_ONLY, REPLICA_ROLES, facts_in
from channel_layer.redis.blocking.primary_finder import Primary
from channel_layer.redis.rejection_reasons import explained, refusal, why_unreachable
from channel_layer.redis.sentinel import find_primary

log: Final = logging.getLogger("towpath.redis")

CONNECT_TIMEOUT_S: Final = 5.0
Answer = Any  #: bytes, int, list, None, hiredis.ReplyError, or LayerUnavailable
OnAnswer = Callable[[Answer], None]
OnLost = Callable[["RedisConnection"], None]
Argument = Any  #: bytes, str or int
_INCOMPLETE: Final = object()
ERROR_SIZE_MAX: Final = 4096
EMPTY_BULK: Final = b"$0\r\n\r\n"


def ignore_loss(_connection: RedisConnection) -> None:
    """Do nothing: its commands get LayerUnavailable all the same."""


def ignore(_answer: Answer) -> None:
    """Ignore an answer."""


def settle(future: asyncio.Future[Any], answer: Answer) -> None:
    """Complete a future with an answer, unless its caller has given up waiting."""
    if future.done():
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)


class NotSent(hiredis.ReplyError):
    """The command was not sent, for want of memory. To its caller that equals a rejection by Redis: nothing was done."""


class RedisConnection:
    """One connection. Made by `connect`; of no use after its loss was reported.

    It has the methods of asyncio.Protocol and does not inherit from it: a compiled class has no base that is not compiled.
    """

    def __init__(
        self, on_lost: OnLost = ignore_loss, on_push: OnAnswer | None = None, primary: Primary | None = None
    ) -> None:
        """on_lost: gets the connection when it is lost, also during the greeting. on_push: gets the replies that answer no command.

        primary: as the Sentinels named it.
        """
        self._on_lost = on_lost
        self._on_push = on_push
        self.primary = primary
        self._waiting: deque[OnAnswer] = deque()
        self._reader = hiredis.Reader(notEnoughData=_INCOMPLETE)
        self._transport: asyncio.Transport | None = None
        self._descriptor = -1
        self._in_children: forked_child.InheritedBy | None = None  # from the beginning of the connection to its loss
        self._left_alone: asyncio.Transport | None = None  # in a child: a finalizer would close the descriptor again
        self._data_received = False  # any, since the last call of `checks_without_data`
        self._checks_without_data = 0
        self._greeted = False
        self.loss_reason = ""  #: why it was lost, for people; empty as long as it is not
        self.run_id = ""

    @property
    def alive(self) -> bool:
        """True if the connection is not known to be lost."""
        return self._transport is not None

    @property
    def era(self) -> str:
        """The era of the server's data, as `open` names it: the first 8 characters of its run_id."""
        return self.run_id[:8]

    async def greet(self, address: RedisAddress) -> None:
        """Authenticate, choose the database, and learn the run_id. Raises LayerUnavailable, also if the server is a replica."""
        if address.credentials:
            await self.execute(*address.credentials.command)
        if address.db:
            await self.execute("SELECT", address.db)
        facts = facts_in(await self.execute("INFO"))  # the whole of it: only Redis 7 gives two sections at once
        if facts.get("role") in REPLICA_ROLES:
            raise LayerUnavailable(f"Redis at {address.shown} is a replica at present")
        self.run_id = facts.get("run_id", "")
        self._greeted = True

    def call(self, on_answer: OnAnswer, *command: Argument) -> None:
        """Send one command; `on_answer` gets the reply, a hiredis.ReplyError, or LayerUnavailable.

        Raises TypeError or ValueError for what is no command, which is a caller's mistake. Nothing was sent then.
        """
        if self._transport is None:
            on_answer(LayerUnavailable("not connected to Redis"))
            return
        try:
            packed = hiredis.pack_command(command)
        except (MemoryError, RuntimeError):  # hiredis raises the latter for it
            on_answer(NotSent("there was no memory to send it"))
            return
        self._waiting.append(on_answer)
        self._transport.write(packed)

    def call_in_pieces(self, on_answer: OnAnswer, command: tuple[Argument, ...], last: list[bytes]) -> None:
        """As `call`. The last argument is the pieces of `last` together; they are not copied."""
        if self._transport is None:
            on_answer(LayerUnavailable("not connected to Redis"))
            return
        try:
            packed = hiredis.pack_command((*command, b""))
            pieces = [packed[: -len(EMPTY_BULK)], b"$%d\r\n" % sum(map(len, last)), *last, b"\r\n"]
        except (MemoryError, RuntimeError):
            on_answer(NotSent("there was no memory to send it"))
            return
        self._waiting.append(on_answer)
        self._transport.writelines(pieces)

    def send(self, *command: Argument) -> None:
        """Send one command and ignore its reply."""
        self.call(ignore, *command)

    def write(self, *command: Argument) -> None:
        """Send one command that has no reply of its own: SUBSCRIBE and the like answer by `on_push`."""
        if self._transport is not None:
            self._transport.write(hiredis.pack_command(command))

    async def execute(self, *command: Argument) -> Any:
        """Send one command and return its reply. Raises LayerUnavailable, or hiredis.ReplyError as Redis sent it."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.call(partial(settle, future), *command)
        return await future

    def checks_without_data(self) -> int:
        """The number of consecutive checks during which no byte arrived while a reply was outstanding.

        To be called by a timer: a loop that was blocked for long checks once, and has read what came meanwhile when it checks
        again.
        """
        self._checks_without_data = 0 if self._data_received or not self._waiting else self._checks_without_data + 1
        self._data_received = False
        return self._checks_without_data

    def close(self, why: str = "") -> None:
        """End the connection; each command that waits for a reply gets LayerUnavailable. why: for people."""
        self.loss_reason = self.loss_reason or why
        if self._transport is not None:
            self._transport.abort()

    def forked(self) -> None:
        """See `Inherited`. From now on every call finds no connection."""
        self._left_alone, self._transport = self._transport, None
        if self._left_alone is not None:
            forked_child.close(self._descriptor)

    # -- as asyncio.Protocol has them

    def pause_writing(self) -> None:
        """Go on: what may be under way is bounded where it is made."""

    def resume_writing(self) -> None:
        """See `pause_writing`."""

    def eof_received(self) -> None:
        """Let the transport close: Redis sends nothing more."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transports inherit from nothing
        sock = transport.get_extra_info("socket")
        if sock is None:  # in a simulation
            return
        self._descriptor = sock.fileno()
        self._in_children = forked_child.InheritedBy(self.forked)
        forked_child.give_up_in_children(self._in_children)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for name, value in KEEPALIVE:
                if hasattr(socket, name):
                    sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)

    def data_received(self, data: bytes) -> None:
        self._data_received = True
        reader = self._reader
        reader.feed(data)
        while True:
            try:
                answer = reader.gets()
            except hiredis.ProtocolError as error:
                self.close(f"its answer cannot be read: {error}")
                return
            if answer is _INCOMPLETE:
                return
            if self._waiting:
                self._waiting.popleft()(answer)
            elif self._on_push is not None and self._greeted:
                self._on_push(answer)
            else:
                self.close(
                    explained(answer) if isinstance(answer, Exception) else f"an answer too many: {answer!r:.80}"
                )
                return
            if type(answer) is hiredis.ReplyError:
                self._on_error_reply(answer)  # not before the caller got to know that nothing was done

    def _on_error_reply(self, error: hiredis.ReplyError) -> None:
        if READ_ONLY in str(error) and self._transport is not None and not self._transport.is_closing():
            log.warning("Redis has become a replica: trying anew")
            self.close("it has become a replica")

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = self._in_children = None
        self.loss_reason = self.loss_reason or self._unread_error() or str(exc or "closed by Redis")
        waiting, self._waiting = self._waiting, deque()
        lost = LayerUnavailable(f"the connection to Redis was lost: {self.loss_reason}")
        try:
            for on_answer in waiting:
                on_answer(lost)
        finally:
            self._on_lost(self)

    def _unread_error(self) -> str:
        """The error that Redis sent before it hung up, if it was not read: a write that fails ends a connection at once."""
        with contextlib.suppress(OSError, hiredis.HiredisError), socket.socket(fileno=os.dup(self._descriptor)) as sock:
            self._reader.feed(sock.recv(ERROR_SIZE_MAX, socket.MSG_DONTWAIT))
            answer = self._reader.gets()
            return explained(answer) if isinstance(answer, hiredis.ReplyError) else ""
        return ""


async def connect(
    address: RedisAddress, on_lost: OnLost = ignore_loss, on_push: OnAnswer | None = None
) -> RedisConnection:
    """A connection to the primary: authenticated, on its database, and with the run_id of its server. Raises LayerUnavailable."""
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            return await _connect(address, on_lost, on_push)
    except hiredis.ReplyError as error:
        kind = refusal(error, rotated=address.from_file)
        raise kind(f"Redis at {address.shown} refuses us: {explained(error)}") from error
    except OSError as error:
        raise LayerUnavailable(
            f"Redis at {address.shown} is unreachable: {why_unreachable(error, address.tls is not None)}"
        ) from error


async def _connect(address: RedisAddress, on_lost: OnLost, on_push: OnAnswer | None) -> RedisConnection:
    loop = asyncio.get_running_loop()
    primary = await find_primary(address) if address.sentinels else None
    connection = RedisConnection(on_lost, on_push, primary)
    protocol: Any = connection  # loops ask for the methods alone
    if address.path:
        await loop.create_unix_connection(lambda: protocol, address.path)
    else:
        host, port = (primary.host, primary.port) if primary else (address.host, address.port)
        await loop.create_connection(lambda: protocol, host, port, ssl=address.tls.context() if address.tls else None)
    try:
        await connection.greet(address)
    except BaseException:
        connection.close()
        raise
    if not connection.alive:  # lost before this task ran again: its loss was reported before anything used it
        raise ConnectionResetError("lost during the greeting")
    return connection
