"""What listens, as Twisted knows it: a server of uvloop's."""

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
    """A listening server. Stopping it takes no further connection; those that exist live on."""

    def __init__(
        self,
        server: asyncio.Server,
        uds: Path | None,
        accepted: Callable[[socket.socket], None],
        inherited: bool,
    ) -> None:
        """accepted: serves a connection that was not accepted by `server`. inherited: others may have these sockets too."""
        self._server = server
        self._uds = uds
        self._accepted = accepted
        self._inherited = inherited

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        return tuple(self._server.sockets)

    def startListening(self) -> None:
        """It listens from the moment it exists."""

    def refuse(self) -> None:
        """Before `stopListening`: from now on the kernel refuses every client, whoever else has these sockets open.

        Else clients wait in the backlog as long as any process has them, though nobody accepts. Where the system cannot do that
        (not Linux), they wait.
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
        """Accept all clients that wait in the backlog: the end of a listening socket would reset them, though they have connected.

        In one go with that end, which no turn of the loop could be. It is over when nobody waits, or no descriptor is left.
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
        """Where we listen, for people."""
        name = self._server.sockets[0].getsockname()
        if not isinstance(name, tuple):
            return f"unix:{name if isinstance(name, str) else name.decode()}"
        return f"http://[{name[0]}]:{name[1]}/" if ":" in name[0] else f"http://{name[0]}:{name[1]}/"
