"""Listening port of uvloop with Twisted's interface."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IListeningPort
from zope.interface import implementer

from interface_server.transport.addresses import Address, address_of


@implementer(IListeningPort)
class ListeningPort:
    """A listening server. When it stops, existing connections stay open."""

    def __init__(
        self,
        server: asyncio.Server,
        uds: Path | None,
        accepted: Callable[[socket.socket], None],
        inherited: bool,
    ) -> None:
        """accepted: serves a connection that `server` did not accept. inherited: other processes may have these sockets too."""
        self._server = server
        self._uds = uds
        self._accepted = accepted
        self._inherited = inherited

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        return tuple(self._server.sockets)

    def startListening(self) -> None:
        """Do nothing: the port listens from its creation on."""

    def refuse(self) -> None:
        """Let the kernel refuse every client, although other processes have these sockets open. Call it before `stopListening`.

        Otherwise clients wait in the backlog while any process has the sockets open, even if none accepts. Only Linux can refuse; on
        other systems they wait.
        """
        self._accept_waiting()
        for listening in self._server.sockets:
            with contextlib.suppress(OSError), socket.socket(fileno=os.dup(listening.fileno())) as ours:
                ours.shutdown(socket.SHUT_RD)

    def stopListening(self) -> Deferred[None] | None:
        """Close the listening sockets and remove our socket file; done when this returns."""
        if not self._inherited:
            self._accept_waiting()
        self._server.close()
        if self._uds is not None:
            self._uds.unlink(missing_ok=True)
        return None

    def _accept_waiting(self) -> None:
        """Accept all clients that wait in the backlog: closing a listening socket would reset them, although they have connected.

        This happens in the same turn of the loop as the close. It ends when no client waits, or no descriptor is left.
        """
        for listening in self._server.sockets:
            with contextlib.suppress(OSError), socket.socket(fileno=os.dup(listening.fileno())) as ours:
                ours.setblocking(False)
                while True:
                    self._accepted(ours.accept()[0])

    def getHost(self) -> Address:
        return address_of(self._server.sockets[0].getsockname())

    @property
    def display_address(self) -> str:
        """The address, for people."""
        name = self._server.sockets[0].getsockname()
        if not isinstance(name, tuple):
            return f"unix:{name if isinstance(name, str) else name.decode()}"
        return f"http://[{name[0]}]:{name[1]}/" if ":" in name[0] else f"http://{name[0]}:{name[1]}/"
