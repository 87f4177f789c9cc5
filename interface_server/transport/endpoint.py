"""Endpoint of uvloop: listens, and makes a transport and a Twisted protocol for each connection."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.internet.protocol import Factory
from zope.interface import implementer

from interface_server.transport.dual_stack import EVERYWHERE, listen_everywhere
from interface_server.transport.keepalive import KeepaliveSettings
from interface_server.transport.listening_port import ListeningPort
from interface_server.transport.socket_options import set_keepalive
from interface_server.transport.transport import ByteMeter, Transport, admit_all
from interface_server.transport.unix_socket_file import permissions, remove_stale


@implementer(IStreamServerEndpoint)
class ServerEndpoint:
    """Listens at the first of `fd`, `uds`, and `host` with `port` that is given."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,  # one address in four alternative forms, and options of the system's that all have a default
        host: str = "127.0.0.1",
        port: int = 0,
        uds: str | None = None,
        uds_permissions: str = "",
        fd: int | None = None,
        backlog: int = 2048,
        reuse_port: bool = False,
        keepalive: KeepaliveSettings | None = None,
        admits: Callable[[int], bool] = admit_all,
        meter: ByteMeter | None = None,
    ) -> None:
        """keepalive: when to give up clients that are no longer there; None: the system's default, which never does while idle."""
        self._loop = loop
        self._host, self._port, self._reuse_port = host, port, reuse_port
        self._uds = Path(uds) if uds else None
        self._uds_permissions = uds_permissions
        self._fd = fd
        self._backlog = backlog
        self._keepalive = keepalive
        self._admits, self._meter = admits, meter
        self._connecting: set[asyncio.Task[object]] = set()  # asyncio keeps only weak references to tasks

    def listen(self, protocolFactory: Factory) -> Deferred[ListeningPort]:
        """Twisted's form of `open`."""
        return Deferred.fromFuture(self._loop.create_task(self.open(protocolFactory)))

    async def open(self, factory: Factory) -> ListeningPort:
        """Listen; `factory` makes the protocol of each connection. Raises OSError and leaves nothing behind."""
        port = await self._port_of(factory)
        if self._keepalive is not None:
            for listening in port.sockets:
                set_keepalive(listening, self._keepalive)
        return port

    async def _port_of(self, factory: Factory) -> ListeningPort:
        def connection() -> Any:  # asyncio types its protocols by a class; any object with the methods will do
            return Transport(factory, self._admits, self._meter)

        def accepted(sock: socket.socket) -> None:
            task = self._loop.create_task(self._loop.connect_accepted_socket(connection, sock))
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)

        server, inherited = await self._listening(connection), self._fd is not None
        return ListeningPort(server, None if inherited else self._uds, accepted, inherited)

    async def _listening(self, connection: Callable[[], Any]) -> asyncio.Server:
        if self._fd is not None:
            sock = socket.socket(fileno=self._fd)
            if sock.family == socket.AF_UNIX:
                return await self._loop.create_unix_server(connection, sock=sock, backlog=self._backlog)
            return await self._loop.create_server(connection, sock=sock, backlog=self._backlog)
        if self._uds is not None:
            return await self._open_unix(connection, self._uds)
        if self._host == EVERYWHERE:
            sock = listen_everywhere(self._port, self._backlog, self._reuse_port)
            return await self._loop.create_server(connection, sock=sock, backlog=self._backlog)
        return await self._loop.create_server(
            connection,
            self._host or None,
            self._port,
            backlog=self._backlog,
            reuse_address=True,
            reuse_port=self._reuse_port or None,
        )

    async def _open_unix(self, connection: Callable[[], Any], path: Path) -> asyncio.Server:
        before = remove_stale(path)
        server = await self._loop.create_unix_server(connection, str(path), backlog=self._backlog)
        path.chmod(permissions(self._uds_permissions, before))  # noqa: ASYNC240 - once, before any client is served
        return server
