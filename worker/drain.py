"""Leaving: take nothing new, hand open WebSockets over, let what is under way finish, close the rest, in time.

WebSockets that asked for it are handed off at once, some at a time, so that the workers that take them over meet no herd. What is
left near the end is closed one by one over the last part of the time, so that its clients do not come back all at once. Their
instances get their disconnect then, and the rest of the time to act on it; whoever runs on after that is cancelled by the room.
Event streams hardly ever end by themselves: they have half of the time for it, and are then ended cleanly, since their clients
go on by themselves.
PROTOCOL.md, "Drain".
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from channel_layer.packets import Close
from worker.asgi_room import AsgiRoom
from worker.instance import Instance
from worker.pump import Pump
from worker.wire_line import WireLine

log = logging.getLogger("towpath.worker")

LOOK_S = 0.05
AT_ONCE = 50  #: hand-offs, or ends of event streams, at one look
# Parts of the drain time, from its beginning:
STREAMS_END_FROM = 0.5
CLOSING_FROM = 0.8
CLOSED_BY = 0.95  #: who was closed last has the rest to act on it


async def drain(pump: Pump, room: AsgiRoom, timeout_s: float, now: asyncio.Event) -> None:
    """Return when nothing is under way any more: at the latest after `timeout_s`, or soon after `now` is set.

    What runs on in the background after its response counts too; it is cut when the time is over.
    """
    time = asyncio.get_running_loop().time
    await pump.stop_taking()
    began = time()

    def before(part: float) -> bool:
        """Is there time until then, and is nobody in a hurry?"""
        return time() < began + timeout_s * part and not now.is_set()

    while (pump.lines or pump.taking or room.running) and before(CLOSING_FROM):
        ask_some(pump.lines, lambda instance: instance.hand_off())
        if not before(STREAMS_END_FROM):
            ask_some(pump.lines, lambda instance: instance.finish())
        await asyncio.sleep(LOOK_S)
    await close_all(pump.lines, began + timeout_s * CLOSED_BY, now)
    while room.running and before(1.0):
        await asyncio.sleep(LOOK_S)


def ask_some(lines: list[WireLine], ask: Callable[[Instance], bool]) -> None:
    """Until so many have said yes. Who has not (no accept so far, a response that has not begun) is asked again next time."""
    willing = 0
    for line in lines:
        if line.open and line.instance is not None and ask(line.instance):
            willing += 1
            if willing == AT_ONCE:
                return


async def close_all(left: list[WireLine], until: float, now: asyncio.Event) -> None:
    """One by one, the last of them at `until` by the loop's clock; all at once as soon as `now` is set."""
    if left:
        log.info("closing %d connections that have not finished", len(left))
    for index, line in enumerate(left):
        if not now.is_set():
            pause_s = (until - asyncio.get_running_loop().time()) / (len(left) - index)
            await asyncio.sleep(max(0.0, min(pause_s, LOOK_S)))
        stop(line)


def stop(line: WireLine) -> None:
    """The drain time is over for this one: its client is told, and so is its application, which may have to tidy up."""
    if line.open and not (line.instance is not None and line.instance.finish()):
        line.close(Close.STOPPING)
        if line.instance is not None:
            line.instance.disconnect(1012, "")
