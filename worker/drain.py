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

from channel_layer.packets import Close
from worker.asgi_room import AsgiRoom
from worker.pump import Pump
from worker.wire_line import WireLine

log = logging.getLogger("towpath.worker")

LOOK_S = 0.05
AT_ONCE = 50  #: hand-offs, or ends of event streams, at one look
STREAMS_PART = 0.5  #: of the drain time, from its beginning: in which an event stream may end by itself
PACED_PART = 0.2  #: of the drain time, its end: closing what has not finished
LAST_PART = 0.05  #: of the drain time, the very end: nobody is closed any more, and those who were may end


async def drain(pump: Pump, room: AsgiRoom, timeout_s: float, now: asyncio.Event) -> None:
    """Return when nothing is under way any more: at the latest after `timeout_s`, or soon after `now` is set.

    What runs on in the background after its response counts too; it is cut when the time is over.
    """
    loop = asyncio.get_running_loop()
    await pump.stop_taking()
    end = loop.time() + timeout_s
    streams_until = loop.time() + timeout_s * STREAMS_PART
    paced_from = end - timeout_s * PACED_PART
    handed_off: set[WireLine] = set()
    while (pump.lines or pump.taking or room.running) and loop.time() < paced_from and not now.is_set():
        hand_off(pump.lines, handed_off)
        if loop.time() >= streams_until:
            finish_streams(pump.lines)
        await asyncio.sleep(LOOK_S)
    left = pump.lines
    if left:
        log.info("closing %d connections that have not finished", len(left))
    for index, line in enumerate(left):
        if not now.is_set():
            pause_s = (end - timeout_s * LAST_PART - loop.time()) / (len(left) - index)
            await asyncio.sleep(max(0.0, min(pause_s, LOOK_S)))
        stop(line)
    while room.running and loop.time() < end and not now.is_set():
        await asyncio.sleep(LOOK_S)


def hand_off(lines: list[WireLine], handed_off: set[WireLine]) -> None:
    """Ask some more instances to hand their WebSockets over. Who is not ready yet (no accept so far) is asked again next time."""
    asked = 0
    for line in lines:
        if line.open and line.instance is not None and line not in handed_off and line.instance.hand_off():
            handed_off.add(line)
            asked += 1
            if asked == AT_ONCE:
                return


def finish_streams(lines: list[WireLine]) -> None:
    """End some more event streams. Whose response has not begun is asked again next time."""
    finished = 0
    for line in lines:
        if line.open and line.instance is not None and line.instance.finish():
            finished += 1
            if finished == AT_ONCE:
                return


def stop(line: WireLine) -> None:
    """The drain time is over for this one: its client is told, and so is its application, which may have to tidy up."""
    if line.open and not (line.instance is not None and line.instance.finish()):
        line.close(Close.STOPPING)
        if line.instance is not None:
            line.instance.disconnect(1012, "")
