"""`serve` as the supervisor of its workers, seen by a worker (worker/lifecycle/supervision.py)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

from channel_layer.process import forked_child
from towpath.rollout.pausing import FOLLOW
from towpath.runtime import control_socket, process_markers
from towpath.runtime.worker_environment import PAUSES, RUN_DIR
from towpath.system.private_folder import PrivateFolder
from towpath.system.service_manager import ServiceManager

STOPPING_KNOWN_WITHIN_S = 0.5  #: a `serve` that got the same signal has marked by then that all of it stops
POLL_S = 0.05
FIRST_ANSWER_TIMEOUT_S = 5.0  #: how long to wait for a `serve` that does not answer

Pause = Callable[[bool], None]


class Supervision:
    """`serve` as the `Supervision` of one worker: through marker files, and over the control socket."""

    def __init__(self, manager: ServiceManager) -> None:
        """manager: that of a worker without `serve`, if it has one."""
        self._manager = manager
        self._began = time.monotonic()
        self.may_repeat_stop_signal = process_markers.is_supervised()

    def ask_for_successor(self, why: str) -> bool:
        """See `Supervision`."""
        return process_markers.ask_for_successor(why)

    async def dismissal(self) -> None:
        """See `Supervision`. If all processes were asked to stop at once, workers go on until the last interface server has left."""
        until = time.monotonic() + STOPPING_KNOWN_WITHIN_S
        while (everything := process_markers.everything_stops()) is None and time.monotonic() < until:
            await asyncio.sleep(POLL_S)
        while everything and process_markers.interface_servers_live():
            await asyncio.sleep(POLL_S)

    def has_loaded(self) -> None:
        """See `Supervision`."""
        process_markers.mark_loaded()

    def report_ready(self) -> None:
        """See `Supervision`. `serve` looks at the lease."""
        self._manager.report_ready()

    def report_stopping(self) -> None:
        """See `Supervision`."""
        self._manager.report_stopping()

    async def follow(self, pause: Pause) -> None:
        """See `Supervision`. Only `serve --reload` pauses workers."""
        if PAUSES not in os.environ:
            return
        loop = asyncio.get_running_loop()
        orders = _PauseOrders(pause, loop.create_future())
        with contextlib.suppress(OSError, TimeoutError):  # `serve` has gone, and this worker ends with it
            folder = PrivateFolder.open(Path(os.environ[RUN_DIR]))
            folder.close()
            transport, _ = await loop.create_unix_connection(
                lambda: orders, os.fspath(folder.path / control_socket.NAME)
            )
            transport.write(json.dumps({"do": FOLLOW, "began": self._began}).encode() + b"\n")
            await asyncio.wait_for(orders.first, FIRST_ANSWER_TIMEOUT_S)


class _PauseOrders(asyncio.Protocol):
    """The protocol of a following worker: calls `pause` for each line."""

    def __init__(self, pause: Pause, first: asyncio.Future[None]) -> None:
        self.first = first
        self._pause = pause
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._descriptor = transport.get_extra_info("socket").fileno()
        forked_child.give_up_in_children(self)

    def connection_lost(self, _error: Exception | None) -> None:
        self._descriptor = -1

    def forked(self) -> None:
        """See `Inherited`: `serve` is to see the end of its worker, and not of processes that the application has started."""
        forked_child.close(self._descriptor)

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._pause(json.loads(line)["pause"])
        if lines and not self.first.done():
            self.first.set_result(None)
