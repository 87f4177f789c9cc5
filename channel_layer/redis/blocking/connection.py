"""One blocking connection to Redis on a plain socket: a command out, its answer in, with no event loop and no thread.

hiredis packs and parses. A failed call is one of two things, and its error tells which: NothingSent if Redis cannot have got the whole
command, so that it may be sent again, or LayerUnavailable if the outcome is unknown. Either ends the connection, and so does an
exception from a signal handler in the middle of a call: the next call would take the answer for its own. Such a call leaves the
connection out of step, at whatever instruction it was broken off.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from typing import Any

import hiredis

from channel_layer.errors import EncryptionMismatch, LayerUnavailable, LayerUnusable, NothingSent
from channel_layer.process.signal_errors import is_of_handler
from channel_layer.redis.address import Credentials, RedisAddress
from channel_layer.redis.blocking.timed_socket import TimedSocket, with_timeouts
from channel_layer.redis.rejection_reasons import explained, refusal, why_unreachable
from channel_layer.redis.tls import Tls

_INCOMPLETE = object()
#: The roles of a server that is not the primary. In the error of a script, Redis before 7 writes READONLY in the middle.
REPLICA_ROLES = ("slave", "replica")
READ_ONLY = "READONLY"
#: A host that is gone sends nothing, and a blocking read would wait for hours: after 11 s the kernel gives it up (s, and ms).
KEEPALIVE = (("TCP_KEEPIDLE", 5), ("TCP_KEEPINTVL", 2), ("TCP_KEEPCNT", 3), ("TCP_USER_TIMEOUT", 11_000))

Answer = Any  #: bytes, int, list, None, or hiredis.ReplyError
Argument = Any  #: bytes, str or a number
Place = tuple[str, int] | str  #: host and port, or the path of a unix socket
#: Called with each new connection before it is used. Raises EncryptionMismatch, LayerUnavailable, hiredis.ReplyError.
Check = Callable[["BlockingConnection"], None]


def pack(*command: Argument) -> bytes:
    """The bytes of one command. Raises TypeError for an argument that is neither bytes, str nor a number, and MemoryError.

    Numbers are made texts here: hiredis 3.5 crashes the process if a signal handler raises while it does that itself.
    """
    parts: tuple[Any, ...] = tuple(str(part) if type(part) in (int, float) else part for part in command)
    try:
        packed: bytes = hiredis.pack_command(parts)
    except RuntimeError as error:  # hiredis raises this one
        raise MemoryError("there was no memory to send it") from error
    return packed


def no_check(_connection: BlockingConnection) -> None:
    """Find nothing wrong with a new connection."""


class BlockingConnection:
    """One connection, for one thread at a time."""

    __slots__ = ("_reader", "_socket", "_timeout_s", "in_step", "place")

    def __init__(self, place: Place, tls: Tls | None, timeout_s: float) -> None:
        """Connect. timeout_s: for that, and for each answer. Raises OSError."""
        self.place = place
        self._socket = _connected_socket(place, tls, timeout_s)
        self._timeout_s = timeout_s
        self._reader = hiredis.Reader(notEnoughData=_INCOMPLETE)
        #: True unless the connection is closed, or an answer to what was sent on it may still come.
        self.in_step = True

    def call(self, *command: Argument, block_s: float = 0.0) -> Answer:
        """Send one command and return its answer; an error that Redis answers with is returned too.

        block_s: how long the command itself may block in Redis. Raises NothingSent, or LayerUnavailable.
        """
        return self.exchange(pack(*command), 1, block_s)[0]

    def exchange(self, packed: bytes, count: int = 1, block_s: float = 0.0) -> list[Answer]:
        """Send packed commands, and return the `count` answers to them. As `call` otherwise."""
        self.in_step = False  # before anything can be sent, and until all is read
        try:
            self._write(packed)
            answers = self._read(count, self._timeout_s + block_s)
        except BaseException:
            self.close()
            raise
        self.in_step = True
        return answers

    @property
    def usable(self) -> bool:
        """True unless Redis has closed the connection, or has sent anything unasked, as it does before it closes one."""
        return self.in_step and self._socket.is_silent

    @property
    def probably_usable(self) -> bool:
        """True unless it is known without asking the kernel that nothing more can be sent: `usable` for a call that may be made again.

        What is written to a unix socket that Redis has closed is an error at once (NothingSent). By TCP it would be lost, and nobody
        could tell it from a command that was executed.
        """
        return self.in_step if isinstance(self.place, str) else self.usable

    def close(self) -> None:
        """End the connection."""
        self.in_step = False
        self._socket.close()

    def forked(self) -> None:
        """See `Inherited`. By the descriptor, since TLS would say goodbye in the name of the parent."""
        self.in_step = False
        if (descriptor := self._socket.detach()) >= 0:
            os.close(descriptor)

    def _write(self, packed: bytes) -> None:
        try:
            self._socket.send(packed, self._timeout_s)
        except OSError as error:
            if is_of_handler(error):
                raise
            if isinstance(error, TimeoutError):
                raise NothingSent(f"Redis did not read a command within {self._timeout_s:g} s") from error
            raise NothingSent(f"the connection to Redis was lost: {self._reason() or _why(error)}") from error

    def _reason(self) -> str:
        """The error with which Redis has closed the connection, if it sent one: it does to a client beyond its limit."""
        try:
            answer = self._answer(time.monotonic())
        except (OSError, hiredis.ProtocolError) as error:
            if is_of_handler(error):
                raise
            return ""
        return explained(answer) if isinstance(answer, hiredis.ReplyError) else ""

    def _read(self, count: int, timeout_s: float) -> list[Answer]:
        """The next `count` answers, each of which has its time, in however many pieces it comes."""
        try:
            return [self._answer(time.monotonic() + timeout_s) for _ in range(count)]
        except (OSError, hiredis.ProtocolError) as error:
            if is_of_handler(error):
                raise
            if isinstance(error, TimeoutError):
                raise LayerUnavailable(f"Redis did not answer within {timeout_s:g} s") from error
            raise LayerUnavailable(f"the connection to Redis was lost before its answer: {_why(error)}") from error

    def _answer(self, end: float) -> Answer:
        reader = self._reader
        while (answer := reader.gets()) is _INCOMPLETE:
            data = self._socket.receive(end)
            if not data:
                raise ConnectionResetError("closed by Redis")
            reader.feed(data)
        return answer


def connect(address: RedisAddress, place: Place, timeout_s: float, check: Check = no_check) -> BlockingConnection:
    """A connection to the primary at `place`: authenticated, on its database, and checked. Raises NothingSent."""
    try:
        connection = BlockingConnection(place, address.tls, timeout_s)
    except OSError as error:
        if is_of_handler(error):
            raise
        raise NothingSent(
            f"Redis at {address.shown} is unreachable: {why_unreachable(error, address.tls is not None)}"
        ) from error
    try:
        _greet(connection, address)
        check(connection)
    except BaseException as error:
        connection.close()
        if isinstance(error, EncryptionMismatch):
            raise LayerUnusable(str(error)) from error
        if isinstance(error, LayerUnavailable):
            raise NothingSent(f"Redis at {address.shown} is unreachable: {error}") from error
        if isinstance(error, hiredis.ReplyError):
            kind = refusal(error, rotated=address.from_file)
            raise kind(f"Redis at {address.shown} refuses us: {explained(error)}") from error
        raise
    return connection


def authenticate(connection: BlockingConnection, credentials: Credentials) -> None:
    """Authenticate. Raises hiredis.ReplyError."""
    accepted(connection.call(*credentials.command))


def facts_in(info: bytes) -> dict[str, str]:
    """The fields of what Redis answers to INFO."""
    return dict(line.split(":", 1) for line in info.decode().splitlines() if ":" in line)


def is_read_only(answer: Answer) -> bool:
    """True if a replica has refused the command, so that nothing was done."""
    return type(answer) is hiredis.ReplyError and READ_ONLY in str(answer)


def _greet(connection: BlockingConnection, address: RedisAddress) -> None:
    if address.credentials:
        authenticate(connection, address.credentials)
    if address.db:
        accepted(connection.call("SELECT", address.db))
    if facts_in(accepted(connection.call("INFO", "replication"))).get("role") in REPLICA_ROLES:
        raise hiredis.ReplyError("it is a replica at present")


def accepted(answer: Answer) -> Any:
    """The answer, unless it is an error. Raises hiredis.ReplyError."""
    if isinstance(answer, hiredis.ReplyError):
        raise answer
    return answer


def _connected_socket(place: Place, tls: Tls | None, timeout_s: float) -> TimedSocket:
    sock = _unix_socket(place, timeout_s) if isinstance(place, str) else socket.create_connection(place, timeout_s)
    try:
        if not isinstance(place, str):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for name, value in KEEPALIVE:
                if hasattr(socket, name):
                    sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
            if tls:
                sock = tls.context().wrap_socket(sock, server_hostname=place[0])
        return with_timeouts(sock)
    except BaseException:
        sock.close()
        raise


def _unix_socket(path: str, timeout_s: float) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout_s)
        sock.connect(path)
        return sock
    except BaseException:
        sock.close()
        raise


def _why(error: Exception) -> str:
    return str(error) or "no answer"
