"""Runs a node for the channel layer of a process that is no worker, on a thread and an event loop of its own.

The thread is started by the first call, and ends with `close` or with the process. A child that is forked later begins anew, without the
locks that a thread of its parent may have held.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import os
import threading
from collections import Counter
from concurrent.futures import Future
from functools import partial
from typing import Any

import uvloop

from channel_layer.errors import LayerUnavailable, LayerUnusable, NothingSent
from channel_layer.layer import ClosedHome, Home
from channel_layer.loop.loop_layer import LoopLayer
from channel_layer.node import Node
from channel_layer.process.forked_child import give_up_in_children
from channel_layer.protocol.events import Event
from channel_layer.protocol.packets import MALFORMED
from channel_layer.settings import RedisSettings

log = logging.getLogger("towpath.layer")

REPORT_INTERVAL_S = 1.0
EXIT_TIMEOUT_S = 3.0
ROLE = "layer"

_beginning = threading.Lock()


class LayerReceiver:
    """Hands over what comes from Redis to the layer of a process without connections. Implements `Receiver`."""

    def __init__(self, settings: RedisSettings) -> None:
        """Needs the loop of the node."""
        self.counters: Counter[str] = Counter()
        self.node = Node(settings, ROLE, self)
        self.layer = LoopLayer(self.node, self.counters)

    def on_packets(self, sender: str, packets: list[list[Any]]) -> None:
        """See `Receiver`."""
        for packet in packets:
            try:
                if not self.layer.on_packet(sender, packet):
                    self.counters["packets.unknown_kind"] += 1
            except MALFORMED:
                self.counters["packets.malformed"] += 1
                log.exception("a malformed packet from %s", sender)

    def on_group_message(self, group: str, event: Event) -> None:
        """See `Receiver`."""
        self.layer.on_group_message(group, event)

    def on_messages_missed(self, group: str, missed: int) -> None:
        """See `Receiver`."""
        self.layer.on_messages_missed(group, missed)

    def on_news(self, what: str, node: str) -> None:
        """See `Receiver`. They are for interface servers and workers."""

    def on_dead(self, node: str) -> None:
        """See `Receiver`. No other process depends on this one."""

    def on_unsent(self, node: str, connections: list[tuple[int, int]]) -> None:
        """See `Receiver`. This process opens none."""

    def on_redis(self, reachable: bool) -> None:
        """See `Receiver`."""

    def on_data_lost(self) -> None:
        """See `Receiver`. Nothing of this process stands in Redis but its inbox, which is made again."""

    def on_resync_needed(self) -> None:
        """See `Receiver`."""


class LayerThread:
    """The thread with the node. Implements `Home`; safe for all threads."""

    def __init__(self, settings: RedisSettings) -> None:
        """Raises ValueError for settings that are none; connects to nothing yet."""
        self.redis = settings
        self._begin()
        give_up_in_children(self)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._started: Future[LoopLayer] | None = None
        self._latest: LoopLayer | None = None
        self._stop = asyncio.Event()
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()  # last: until then a child begins again

    def forked(self) -> None:
        """See `Inherited`."""
        self._begin()
        give_up_in_children(self)

    def _begin_in_child(self) -> None:
        """Begin anew in a child that was forked without Python's knowledge: some servers are not written in Python."""
        if self._pid != os.getpid():
            with _beginning:
                if self._pid != os.getpid():
                    self.forked()

    def loop_layer(self) -> LoopLayer | None:
        """See `Home`."""
        self._begin_in_child()
        started = self._started
        if started is None or not started.done() or started.exception() is not None:
            return None
        return started.result()

    @property
    def counters(self) -> dict[str, int]:
        """See `Home`: those of the node that runs, or has run last."""
        self._begin_in_child()
        return self._latest.counters if self._latest is not None else {}

    def closed(self) -> Home:
        """See `Home`. Only the layer that was closed ends: other objects may share this thread, and start it again."""
        return ClosedHome(self.redis, self.counters)

    def start(self) -> Future[LoopLayer]:
        """See `Home`. Also starts again after a failure, after `close`, and in a forked child."""
        self._begin_in_child()
        with self._lock:
            started = self._started
            if started is None or (started.done() and started.exception() is not None):
                started = self._started = Future()
                started.set_running_or_notify_cancel()  # a caller that waits no longer does not cancel it for the others
                self._stop = asyncio.Event()
                arguments = (started, self._stop)
                self._thread = threading.Thread(target=self._run, args=arguments, name="towpath-layer", daemon=True)
                self._thread.start()
                atexit.unregister(self._exit)  # of an earlier start
                atexit.register(self._exit)
            return started

    async def close(self) -> None:
        """See `Home`."""
        thread = self._ask_to_stop()
        if thread is not None:
            await asyncio.to_thread(thread.join, EXIT_TIMEOUT_S)

    def _exit(self) -> None:
        if (thread := self._ask_to_stop()) is not None:
            thread.join(EXIT_TIMEOUT_S)

    def _ask_to_stop(self) -> threading.Thread | None:
        """Let the thread end. Returns it, unless it still connects: then it ends by itself after that."""
        self._begin_in_child()
        with self._lock:
            started, self._started = self._started, None
            if started is None:
                return None
            started.add_done_callback(partial(_stop, self._stop))
            return self._thread if started.done() else None

    def _run(self, started: Future[LoopLayer], stop: asyncio.Event) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            try:
                runner.run(self._main(started, stop))
            except Exception as error:
                if started.done():
                    log.exception("the channel layer of this process has ended")
                else:
                    started.set_exception(_not_started(error))

    async def _main(self, started: Future[LoopLayer], stop: asyncio.Event) -> None:
        receiver = LayerReceiver(self.redis)
        node, layer = receiver.node, receiver.layer
        try:
            await node.start()
            await _check_channel_rights(node)
            layer.start()
            self._latest = layer
            started.set_result(layer)
            while not stop.is_set():
                node.report({}, receiver.counters)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), REPORT_INTERVAL_S)
        finally:
            await layer.close()
            await node.close()


def _stop(stop: asyncio.Event, started: Future[LoopLayer]) -> None:
    """Set `stop` on the loop of the node that has been started."""
    if started.exception() is None:
        with contextlib.suppress(RuntimeError):  # it has ended by itself
            started.result().loop.call_soon_threadsafe(stop.set)


async def _check_channel_rights(node: Node) -> None:
    """Raise LayerUnusable if Redis' user may not use the pub/sub channels: all would work but the groups, which would be silent.

    The commands of `towpath` check all rights. Here it is one publish, to a name that no group has.
    """
    keys = node.context.keys
    try:
        await node.execute("PUBLISH", keys.group(""), "")
    except LayerUnavailable as error:
        raise type(error)(f"{error}; groups need a user with +publish +subscribe &{keys.prefix}*") from error


def _not_started(error: Exception) -> NothingSent:
    """The error of all calls that wait for the start."""
    if isinstance(error, NothingSent):
        return error
    # A ValueError: settings that are none, or other keys than those of the other processes.
    kind = LayerUnusable if isinstance(error, ValueError) else NothingSent
    return kind(
        str(error) if isinstance(error, LayerUnavailable) else f"the channel layer could not be started: {error}"
    )
