"""One interface server: its parts, its start and its shutdown."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from channel_layer.process.stop_requests import Meaning, StopRequests
from interface_server.connections.dispatcher import Dispatcher
from interface_server.connections.interfaces import Backend
from interface_server.http.server_context import ServerContext
from interface_server.protocol_factory import ProtocolFactory
from interface_server.settings import InterfaceSettings
from interface_server.shutdown_schedule import shutdown_steps
from interface_server.transport.endpoint import ServerEndpoint
from interface_server.transport.keepalive import KeepaliveSettings
from interface_server.transport.listening_port import ListeningPort
from interface_server.transport.spare_descriptors import SpareDescriptors
from interface_server.transport.transport import ByteMeter

if TYPE_CHECKING:
    from channel_layer.admin.admin import Admin
    from channel_layer.tracing.tracing import Tracing

log = logging.getLogger("towpath.interface")

DRAIN_POLL_S = 0.05
#: By then it is known whether all leave: all may have got the signal at once, and the supervisor gets it as late as we do.
KNOWN_WITHIN_S = 0.5
BLOCKED_S_MAX = 30.0  #: a loop that is blocked for longer is not alive, by its admin port
CLOSING_PART = 0.5  #: of the drain time: in which sockets are closed, at the latest

#: True if every process leaves that accepts from the same listening socket; None if that is not known yet.
AllLeave = Callable[[], bool | None]


def never() -> bool:
    """Return False: without a supervisor a process cannot know which others have its listening socket."""
    return False


class ServiceManager(Protocol):
    """Follows the state of a process that it has started, as systemd does."""

    def report_ready(self) -> None:
        """Tell that clients are served."""

    def report_stopping(self) -> None:
        """Tell that the process stops."""


class Unmanaged:
    """Follows nothing: the process was not started by a service manager."""

    def report_ready(self) -> None:
        """Do nothing."""

    def report_stopping(self) -> None:
        """Do nothing."""


UNMANAGED = Unmanaged()


class LongLived(Protocol):
    """A WebSocket or an event stream: it ends itself at a shutdown in the way that its state allows."""

    def end_for_shutdown(self) -> None: ...


def _traced(backend: Backend, tracing: Tracing) -> Backend:
    from interface_server.tracing.traced_backend import TracedBackend  # here, since most servers trace nothing

    return TracedBackend(backend, tracing)


class InterfaceServer:
    """One interface server: connections, a dispatcher, and the sockets that listen."""

    def __init__(
        self,
        settings: InterfaceSettings,
        all_leave: AllLeave = never,
        supervised: bool = False,
        manager: ServiceManager = UNMANAGED,
        tracing: Tracing | None = None,
    ) -> None:
        """tracing: makes a span for each request."""
        loop = asyncio.get_running_loop()
        self._settings = settings
        self._all_leave = all_leave
        self._manager = manager
        self._loop = loop
        counters: Counter[str] = Counter()
        self._dispatcher = Dispatcher(settings, counters)
        backend = self._dispatcher if tracing is None else _traced(self._dispatcher, tracing)
        self._context = ServerContext.of(settings, backend, loop, counters)
        self._factory = ProtocolFactory(self._context)
        self._client_bytes: ByteMeter | None = None
        self._port: ListeningPort | None = None
        self._requests = StopRequests(supervised)
        self._stop: asyncio.Event = asyncio.Event()
        self._at_once = False

    def observe(self, admin: Admin) -> None:
        """Show this server on its admin port, and measure its responses for it. Call it before `run`."""
        from channel_layer.admin.admin import ObservedProcess  # here, since most servers measure nothing
        from interface_server.admin.measurement import Measurement

        measurement = Measurement(self._context.health.paths)
        self._context.measure(measurement)
        self._client_bytes = measurement.client_bytes
        waits = (measurement.queue_wait, measurement.without_worker, measurement.client_paused)
        self._dispatcher.measure_waits(*(histogram.observe for histogram in waits))
        admin.observe(
            ObservedProcess(
                node=self._dispatcher.node,
                ready=lambda: self._port is not None and self._dispatcher.ready,
                stopping=self._stop.is_set,
                blocked_s_max=BLOCKED_S_MAX,
                more=measurement.figures,
            )
        )

    async def run(self) -> None:
        """Serve until `stop` is called; raises OSError or LayerUnavailable if it cannot begin."""
        settings = self._settings
        endpoint = ServerEndpoint(
            self._loop,
            host=settings.host,
            port=settings.port,
            uds=settings.uds,
            uds_permissions=settings.uds_permissions,
            fd=settings.fd,
            backlog=settings.backlog,
            reuse_port=settings.reuse_port,
            keepalive=KeepaliveSettings.beside(settings.write_timeout_s),
            admits=SpareDescriptors(self._context.counters).admits,
            meter=self._client_bytes,
        )
        await self._dispatcher.start()
        self._context.start()
        try:
            self._port = await endpoint.open(self._factory)
            log.info("%s listens on %s", self._dispatcher.node.name, self._port.display_address)
            self._manager.report_ready()
            await self._stop.wait()
            await self._drain()
        finally:
            self._context.stop()
            await self._dispatcher.close()

    def stop(self, number: int) -> None:
        """SIGTERM or SIGINT: drain; once more: now."""
        if self._requests.receive(number, self._loop.time()) is Meaning.AT_ONCE:
            self._at_once = True
        self._manager.report_stopping()
        self._stop.set()

    async def _drain(self) -> None:
        """Be unready, listen no more, let what is under way finish, end sockets step by step, then leave."""
        assert self._port is not None
        self._dispatcher.draining = True
        await self._pause(self._settings.drain_delay_s)  # balancers look at /ready and send no more clients
        self._context.draining = True
        if await self._everybody_leaves():
            self._port.refuse()
        end = self._loop.time() + self._settings.graceful_timeout_s
        self._port.stopListening()
        await self._pause(DRAIN_POLL_S)  # a client that was let in a moment ago is about to ask
        new = self._factory.http1.drain()
        await self._pause(DRAIN_POLL_S)  # bytes that the kernel has already are read
        await self._end_for_shutdown(self._settings.graceful_timeout_s * CLOSING_PART)
        while (new or self._busy()) and self._loop.time() < end and not self._at_once:
            await asyncio.sleep(DRAIN_POLL_S)
            new = new and self._factory.http1.drain()
            # Connections that began since: their clients do not wait for our last moment.
            self._factory.websockets.close_all()
            for stream in self._factory.http1.event_streams():
                stream.end_for_shutdown()
        if self._dispatcher.connection_count:
            left = self._dispatcher.connection_count
            log.warning("cutting off %d connection%s that did not finish", left, "s" * (left != 1))
        self._factory.http1.abort_all()

    def _busy(self) -> bool:
        return bool(self._dispatcher.connection_count or self._context.under_way)

    async def _everybody_leaves(self) -> bool:
        until = self._loop.time() + KNOWN_WITHIN_S
        while (known := self._all_leave()) is None and self._loop.time() < until:
            await self._pause(DRAIN_POLL_S)
        return bool(known)

    async def _end_for_shutdown(self, over_s: float) -> None:
        """End WebSockets and event streams in random order, a few at a time, so that clients return apart.

        WebSockets are closed with 1012, event streams get their last chunk.
        """
        leaving: list[LongLived] = [*self._factory.http1.event_streams(), *self._factory.websockets.alive]
        random.shuffle(leaving)
        begin = self._loop.time()
        for moment_s, some in shutdown_steps(leaving, over_s, random.random):
            await self._pause(begin + moment_s - self._loop.time())
            for each in some:
                each.end_for_shutdown()
        await self._pause(DRAIN_POLL_S)
        self._factory.websockets.close_all()  # sockets that were opened in between

    async def _pause(self, seconds: float) -> None:
        end = self._loop.time() + seconds
        while (left_s := end - self._loop.time()) > 0 and not self._at_once:
            await asyncio.sleep(min(DRAIN_POLL_S, left_s))
