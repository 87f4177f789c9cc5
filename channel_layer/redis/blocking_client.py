"""A blocking client of Redis for threads and for the command line, by redis-py."""

from __future__ import annotations

import asyncio
import os
import socket
from dataclasses import asdict
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider
from redis.retry import Retry
from redis.sentinel import MasterNotFoundError, Sentinel

from channel_layer.errors import LayerUnavailable
from channel_layer.redis.address import RedisAddress
from channel_layer.redis.address_file import AddressSource
from channel_layer.redis.connection import ERROR_SIZE_MAX
from channel_layer.redis.sentinel import find_primary


class CurrentCredentials(CredentialProvider):
    """The credentials as of now, for each connection that redis-py makes."""

    def __init__(self, source: AddressSource) -> None:
        self._source = source

    def get_credentials(self) -> tuple[str, ...]:  # type: ignore[override]  # without a password: none
        """User, if there is one, and password."""
        credentials = self._source.current().credentials
        return credentials.command[1:] if credentials else ()


def blocking_client(source: AddressSource, timeout_s: float) -> Redis:
    """A client that connects when it is first used. It does not retry by itself: an unknown outcome stays unknown."""
    address = source.current()
    options: dict[str, Any] = {
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "retry": Retry(NoBackoff(), 0),
        "db": address.db,
        "credential_provider": CurrentCredentials(source),
    }
    if address.tls:
        options |= {"ssl": True, **asdict(address.tls)}
    if address.sentinels:
        sentinels: Any = BlockingSentinels(source)  # redis-py has no types here
        primary: Redis = sentinels.master_for(address.service, **options)
        return primary
    if address.path:
        return Redis(unix_socket_path=address.path, **options)
    return Redis(host=address.host, port=address.port, **options)


def unprompted_error(address: RedisAddress, timeout_s: float) -> str:
    """The error with which Redis greets a client that sends nothing, as it does at its maxclients; empty if it waits for a command.

    redis-py does not read it where Redis has hung up before the first command is sent. Empty behind Sentinels and TLS, too.
    """
    if address.sentinels or address.tls:
        return ""
    try:
        with socket.socket(socket.AF_UNIX) if address.path else socket.socket() as sock:
            sock.settimeout(timeout_s)
            sock.connect(address.path or (address.host, address.port))
            line = sock.recv(ERROR_SIZE_MAX).decode(errors="replace").strip()
    except OSError:
        return ""
    return line[1:] if line.startswith("-") else ""


def close_in_child(client: Redis) -> None:
    """Close what a forked child has inherited, by the sockets: the pool has locks that another thread may have held."""
    pool: Any = client.connection_pool
    for connection in [*pool._available_connections, *pool._in_use_connections]:
        if connection._sock is not None:
            os.close(connection._sock.detach())


class BlockingSentinels(Sentinel):
    """Finds the primary as find_primary does, in an event loop of its own. So it cannot run in a thread that runs one."""

    def __init__(self, source: AddressSource) -> None:
        super().__init__([])  # type: ignore[no-untyped-call]  # redis-py has no types here
        self._source = source

    def discover_master(self, service_name: str) -> tuple[str, int]:
        """Host and port of the primary. Raises redis.ConnectionError if no Sentinel knows it."""
        try:
            primary = asyncio.run(find_primary(self._source.current()))
        except (LayerUnavailable, OSError) as error:  # a loop needs descriptors of its own
            raise MasterNotFoundError(str(error)) from error
        return primary.host, primary.port
