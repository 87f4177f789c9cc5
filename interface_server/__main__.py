"""The entry point of an interface server's process.

The global reactor is installed and imported here and nowhere else: Twisted's asyncio reactor, on uvloop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any, cast

import uvloop
from twisted.internet import asyncioreactor

from channel_layer.errors import LayerUnavailable
from channel_layer.process import log_setup as process_log
from channel_layer.process import stop_signals
from interface_server.server import UNMANAGED, AllLeave, InterfaceServer, ServiceManager, never
from interface_server.settings import InterfaceSettings

log = logging.getLogger("towpath.interface")

STARTUP_FAILURE = 3


def run(
    settings: InterfaceSettings,
    all_leave: AllLeave = never,
    supervised: bool = False,
    manager: ServiceManager = UNMANAGED,
) -> int:
    """Run one interface server until SIGTERM or SIGINT; the exit code.

    all_leave: asked when it listens no more. supervised: a supervisor sends SIGTERM, also after another process has sent it.
    manager: told when it serves and when it stops.
    Raises NoLogConfig.
    """
    process_log.set_up(settings.log_level, settings.log_config, settings.log_format, "interface")
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    asyncioreactor.install(loop)  # type: ignore[no-untyped-call]  # not annotated by Twisted
    from twisted.internet import reactor as installed  # noqa: TID251 - this is the __main__ that the rule names

    reactor = cast(Any, installed)  # Twisted types it as an interface without half of its methods

    running: list[asyncio.Task[int]] = []  # asyncio itself holds its tasks only weakly
    surroundings = (all_leave, supervised, manager)
    reactor.callWhenRunning(lambda: running.append(loop.create_task(_main(settings, surroundings, reactor))))
    reactor.run(installSignalHandlers=False)
    return running[0].result()


async def _main(settings: InterfaceSettings, surroundings: tuple[AllLeave, bool, ServiceManager], reactor: Any) -> int:
    try:
        with contextlib.ExitStack() as open_ports:
            tracing = None
            if settings.redis.traces:
                from channel_layer.tracing.opening import open_tracing  # here, since most processes have none

                tracing = open_ports.enter_context(contextlib.closing(open_tracing()))
            server = InterfaceServer(settings, *surroundings, tracing)
            if settings.redis.admin_port:
                from channel_layer.admin.opening import open_admin  # here, since most processes have no admin port

                server.observe(open_ports.enter_context(contextlib.closing(open_admin(settings.redis))))
            loop = asyncio.get_running_loop()
            for number in stop_signals.to_handle():
                loop.add_signal_handler(number, server.stop, number)
            await server.run()
    except (OSError, LayerUnavailable, ValueError) as error:
        log.error("the interface server cannot start: %s", error)
        return STARTUP_FAILURE
    finally:
        reactor.stop()
    return 0
