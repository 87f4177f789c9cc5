"""Where the address of Redis comes from: a URL, or a file that holds one and may be exchanged while the process runs.

A file is how passwords are rotated without a restart: Kubernetes swaps a symbolic link, Docker and others write or rename a file.
So it is read again at each attempt to connect, which also sees a swapped link. A connection that exists stays: Redis goes on
accepting it. Only user and password may change, those for the Sentinels included. Another server under a running process would
leave its connections, and those of its peers, on two servers: that takes effect with a restart.

A file that is missing, or holds no URL, fails the start. Later the last address that was read stays, and the fault is logged each minute.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote

from channel_layer.process.log_relay import LogRelay
from channel_layer.process.rate_limited_log import RateLimitedLog
from channel_layer.redis.address import SCHEMES, RedisAddress

log = logging.getLogger("towpath.redis")
relay = LogRelay(log)  #: the lease's thread connects too, and waits for nothing but Redis

FILE_SCHEME = "file://"
SIZE_MAX = 16_384  #: characters that are read


class AddressSource(Protocol):
    """Knows the address of Redis for the next attempt to connect. An address is its own source, which never changes."""

    def current(self) -> RedisAddress:
        """The address as of now. From any thread."""


def address_source(url: str) -> AddressSource:
    """The source that `url` names: `file:///path` for a file that holds the URL. Raises ValueError with one sentence."""
    path = path_in(url)
    return RedisAddress.parse(url) if path is None else AddressFile(path)


def path_in(url: str) -> Path | None:
    """The path in `file:///path`, whether there is a file or not; None for another URL. Raises ValueError for a relative one."""
    if not url.lower().startswith(FILE_SCHEME):
        return None
    path = Path(unquote(url[len(FILE_SCHEME) :]))
    if not path.is_absolute():
        raise ValueError(f"{url!r} names no absolute path; file:///run/secrets/redis-url would")
    return path


class AddressFile:
    """The address in a file. Raises ValueError, with one sentence, for one that holds none."""

    __slots__ = ("_address", "_fault_log", "_path")

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fault_log = RateLimitedLog()
        self._address = self._read()

    def current(self) -> RedisAddress:
        """The address with the user and password that the file holds now; those that it held last, if it is of no use."""
        try:
            self._address = self._with_new_credentials(self._read())
        except ValueError as error:
            if self._fault_log.count(time.monotonic()):
                relay.warning("%s; connecting to Redis with what was read last", error)
        return self._address

    def _read(self) -> RedisAddress:
        try:
            with self._path.open(encoding="utf-8") as file:
                url = file.read(SIZE_MAX).strip()
        except OSError as error:
            raise ValueError(f"{self._path} cannot be read: {error.strerror}") from error
        except ValueError as error:  # bytes that are no text, and the reason would quote them
            raise ValueError(f"{self._path} holds no Redis URL, but bytes that are not UTF-8") from error
        if not url:
            raise ValueError(f"{self._path} is empty; it must hold the URL of Redis")
        if not url.lower().startswith(SCHEMES) or "\n" in url:  # a password alone? It is not shown
            raise ValueError(f"{self._path} holds no Redis URL: one line that begins with {', '.join(SCHEMES)}")
        try:
            return replace(RedisAddress.parse(url), from_file=True)
        except ValueError as error:
            raise ValueError(f"{self._path}: {error}") from error

    def _with_new_credentials(self, new: RedisAddress) -> RedisAddress:
        """`new`, if it differs from the last address in its credentials alone. Raises ValueError if it does not."""
        last = self._address
        if replace(new, url="", credentials=None, sentinel_credentials=None) != replace(
            last, url="", credentials=None, sentinel_credentials=None
        ):
            raise ValueError(f"{self._path} names another server, {new.shown}: that takes effect with a restart")
        return new
