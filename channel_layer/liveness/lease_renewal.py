"""Renews the lease from a thread of its own.

A process whose event loop an application blocks is slow and not dead, so its lease must go on.

The thread has its own connection and does nothing but renew. The loop's thread replaces the figures as a whole, so no lock is
needed. PROTOCOL.md, P6 and P8.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from channel_layer.errors import LayerUnavailable
from channel_layer.liveness.lease import RENEWAL_INTERVAL_S
from channel_layer.messaging.node_context import NodeContext
from channel_layer.process.forked_child import give_up_in_children
from channel_layer.process.log_relay import LogRelay
from channel_layer.process.log_setup import stack_of
from channel_layer.protocol.keys import CHANNEL_OF_KIND, GROUP
from channel_layer.redis import scripts as redis_scripts
from channel_layer.redis.blocking.client import BlockingClient
from channel_layer.redis.rejection_reasons import is_cut_off, is_rejection

log = logging.getLogger("towpath.lease")
relay = LogRelay(log)  #: for the lease's thread, which waits for nothing but Redis

BLOCKED_S = 2.0
RETRY_S = 0.1  #: a renewal that failed has used up half a TTL: the next must be sent as soon as Redis is back
REMINDER_S = 60.0

#: Returns the figures that the lease contains instead of the last ones while the loop is blocked, for so many seconds by now.
FiguresWhileBlocked = Callable[[float], dict[str, Any]]


def no_figures(_blocked_s: float) -> dict[str, Any]:
    """No figures: this process knows nothing that would still be true of a blocked loop."""
    return {}


class RenewalObserver(Protocol):
    """Gets the events of each renewal. The lease's thread calls each method: it may read, pass on, and no more."""

    def on_renewal_started(self) -> None:
        """Called before each renewal."""

    def on_renewed(self, asked_at: float, found: bool) -> None:
        """A renewal that began at `asked_at` (monotonic) succeeded. found: the previous lease still existed."""

    def on_renewal_failed(self) -> None:
        """A renewal had no answer, or Redis rejected it."""


class LeaseRenewal:
    """The lease of one process."""

    def __init__(self, context: NodeContext, facts: dict[str, Any], observer: RenewalObserver) -> None:
        keys, name, ttl_s = context.keys, context.name, context.settings.lease_ttl_s
        self._client = BlockingClient(context.address, timeout_s=ttl_s / 2)
        self._encryption = context.encryption
        self._name = name
        self._facts = facts
        self._own_keys = [keys.lease(name), keys.nodes, keys.inbox(name)]
        self._streams = [keys.channel(channel) for channel in CHANNEL_OF_KIND.values()]
        self._sizes = [keys.channel_size(channel) for channel in CHANNEL_OF_KIND.values()]
        self._ttl_ms = int(ttl_s * 1000)
        self._orphan_ttl_ms = context.orphan_ttl_ms
        self._observer = observer
        self._began = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="towpath-lease", daemon=True)
        self._figures: dict[str, Any] = {}  # what `status` shows of this process; replaced as a whole
        self._while_blocked: FiguresWhileBlocked = no_figures
        self._moved = False
        self._failure_logged_at: float | None = None  # None: the last renewal succeeded
        self._renewed_at = time.monotonic()
        self._turned_at = time.monotonic()  # when the loop last showed that it turns
        self._blocked_since: float | None = None
        self._loop_thread = threading.get_ident()
        give_up_in_children(self)

    def start(self) -> None:
        """Write the first lease (raises LayerUnavailable), then renew it once a second."""
        self.loop_turned()  # what the loop waited for before this was no block
        self._renew()
        self._thread.start()

    async def end(self) -> None:
        """Call `stop` without blocking the loop."""
        try:
            await asyncio.to_thread(self.stop)
        except RuntimeError:  # the interpreter ends, and starts no thread any more
            self.stop()

    def stop(self) -> None:
        """Delete the lease and all that belongs to it. Blocks while Redis does not answer: half a TTL for each attempt."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        try:
            self._eval(redis_scripts.LEAVE, [*self._own_keys, *self._streams], self._name, GROUP)
        except LayerUnavailable as error:
            log.warning("the lease could not be deleted: %s", error)
        self._client.close()

    def report(self, figures: dict[str, Any], while_blocked: FiguresWhileBlocked) -> None:
        """Set the figures that the lease contains from the next renewal on. Each call also shows that the loop turns.

        To be called often, by the loop's thread. A process with a blocked loop is slow, not dead: then the lease's thread calls
        `while_blocked`, so that may read and must change nothing.
        """
        self.loop_turned()
        self._figures = figures
        self._while_blocked = while_blocked

    def loop_turned(self) -> None:
        """Show that the loop turns: else it counts as blocked after BLOCKED_S."""
        self._turned_at = time.monotonic()

    def server_moved(self) -> None:
        """Connect anew for the next renewal: Redis is on another server now. Called by the loop's thread."""
        self._moved = True

    def forked(self) -> None:
        """See `Inherited`. The thread does not exist in a child."""
        self._client.forked()

    def _run(self) -> None:
        pause_s = RENEWAL_INTERVAL_S
        while not self._stop.wait(pause_s):
            try:
                self._renew()
                self._failure_logged_at, pause_s = None, RENEWAL_INTERVAL_S
            except (LayerUnavailable, MemoryError) as error:  # whatever is short, this thread must outlast it
                self._log_failure(error, time.monotonic())
                pause_s = RENEWAL_INTERVAL_S if is_rejection(error) or is_cut_off(error) else RETRY_S
                self._client.close()  # the next connection may lead to another server
                self._observer.on_renewal_failed()

    def _log_failure(self, error: Exception, now: float) -> None:
        """Log the first of several failures at once, and each minute the last."""
        if self._failure_logged_at is None or now - self._failure_logged_at >= REMINDER_S:
            self._failure_logged_at = now
            relay.warning("the lease could not be renewed: %s", error)

    def _renew(self) -> None:
        if self._moved:
            self._moved = False
            self._client.close()
        asked_at = time.monotonic()
        self._observer.on_renewal_started()
        content = self._encryption.lease(self._own_keys[0], self._content(asked_at))
        keys = [*self._own_keys, *self._streams, *self._sizes]
        arguments = (content, self._ttl_ms, self._orphan_ttl_ms, self._name, GROUP, len(self._streams))
        found = self._eval(redis_scripts.RENEW, keys, *arguments)
        self._renewed_at = asked_at
        self._observer.on_renewed(asked_at, bool(found))

    def _content(self, now: float) -> dict[str, Any]:
        return {**self._shown(self._blocked_s(now)), "up_s": round(now - self._began, 1)}

    def _shown(self, blocked_s: float) -> dict[str, Any]:
        content = {**self._facts, **self._figures, "blocked_s": blocked_s}
        if blocked_s:
            content.update(self._while_blocked(blocked_s))
        return content

    def figures(self) -> dict[str, Any]:
        """Return what the lease would contain now, and how long ago it was renewed (`lease_age_s`). Any thread may call it."""
        now = time.monotonic()
        blocked_s = now - self._turned_at
        shown = self._shown(blocked_s if blocked_s >= BLOCKED_S else 0.0)
        return {**shown, "node": self._name, "lease_age_s": now - self._renewed_at}

    def _blocked_s(self, now: float) -> float:
        """How long the loop has not turned, or 0.0 below BLOCKED_S. Logs the beginning and the end."""
        blocked_s = now - self._turned_at
        since = self._blocked_since
        if blocked_s < BLOCKED_S:
            if since is not None:
                relay.warning("the event loop of %s runs again after %.1f s", self._name, self._turned_at - since)
            self._blocked_since = None
            return 0.0
        if since is None:
            self._blocked_since = self._turned_at
            text = "the event loop of %s has been blocked for %.1f s: what it serves waits for this\n%s"
            relay.warning(text, self._name, blocked_s, stack_of(self._loop_thread))
        return round(blocked_s, 1)

    def _eval(self, script: redis_scripts.Script, keys: list[str], *arguments: Any) -> Any:
        return self._client.run_script(script, keys, *arguments)
