"""The WebSockets of the simulated world: an application that echoes, run by the worker's own code (worker/asgi/websocket.py).

Each numbers what it says. In a world that talks it also speaks to its own client by a group and by its reply channel.
One that is resumable leaves a state with its socket: how far it has come, which is where the next one begins.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from channel_layer.errors import ChannelGone, LayerUnavailable
from channel_layer.protocol.events import Event
from channel_layer.protocol.packets import Close
from tests.simulation.marks import Mark, marked
from worker.asgi.capacity import Capacity
from worker.asgi.instance import HostContext
from worker.asgi.websocket import WebSocketInstance
from worker.errors import ClientGone

if TYPE_CHECKING:
    from tests.simulation.applications import ApplicationHost

Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]

PADDING_SIZE_BYTES_MAX = 5_800


class Socket(WebSocketInstance):
    """One run of the application, and what may never happen to it."""

    def __init__(self, host: ApplicationHost, number: int, scope: Event, line: Any) -> None:
        thread: Any = SimpleNamespace(new_context=copy_context)
        context = HostContext(host.process.loop, lambda _run: self._has_ended(), Capacity(0, 0, lambda: None))
        super().__init__(line, thread, context)
        self.process = host.process
        self.client: str = scope["path"]
        self.number = number
        self.key = line.key
        self.line = line
        self.over = ""
        self._host = host
        self._record = host.record
        self._random = Random(f"{host.record.seed} {self.client} {number}")
        self._resumable = scope["resumable"]
        self._joined = False
        self._talks = host.record.talks
        self._told = Counter[str]()  # by task: a task that waits for credit may be overtaken by another task
        self._found: int | None = None  # where the last instance has stopped, as this one was told
        self._heard: int | None = None
        self._disconnects = 0
        self._last_word: str = "returned"

    def begin(self, scope: Event) -> None:
        """The first step of the application comes with the next turn of the loop."""
        found = self.line.resume
        self._record.tell(f"instance {self.number} of {self.client} starts in {self.process.role}, resumes {found}")
        scope["extensions"] = {"towpath.resume": found or {}}
        self.start(self._application, scope, copy_context())

    # -- worker.connections.interfaces.Instance

    def deliver(self, event: Event, size_bytes: int) -> None:
        check = self._record.check
        check(not self.over or self.line.open, "an instance that is over was fed")
        check(event["client"] == self.client, f"P2: {self.client} was fed {event['client']}'s event")
        check(self._heard in (None, event["n"] - 1), f"P1: part {event['n']} after {self._heard} up")
        self._heard = event["n"]
        super().deliver(event, size_bytes)
        unread_bytes = sum(size for _, size in self._events or ())
        check(unread_bytes <= self.line.incoming.window + size_bytes, "P5: more than a window and one message unread")

    def disconnect(self, code: int, reason: str) -> None:
        self._disconnects += 1
        self._record.check(self._disconnects == 1, "P8: two disconnects for one instance")
        self._last_word = f"disconnect {code}"
        super().disconnect(code, reason)

    # -- the application

    async def _application(self, scope: Event, receive: Receive, send: Send) -> None:
        self._record.check((await receive())["type"] == "websocket.connect", "a WebSocket begins with its connect")
        await self._nap()
        resume = scope["extensions"]["towpath.resume"]
        if self._talks and not resume:
            await self._say_by_the_layer()
        await self._accept(resume, send)
        speaker = self._talk if self._talks else self._tick
        ticker = asyncio.get_running_loop().create_task(speaker(send))
        try:
            await self._echo(receive, send)
        except ClientGone:
            self._record.check(self._disconnects, "nobody is gone without a disconnect")
        finally:
            ticker.cancel()

    async def _accept(self, resume: Event, send: Send) -> None:
        accept: Event = {"type": "websocket.accept"}
        if self._resumable:
            accept["resumable"] = self._resumable
        if resume:
            self._found = (resume["state"] or {"next": 0})["next"]
            await send(accept)
        else:
            await send({**accept, "headers": [(b"mark", json.dumps(self._mark()).encode())]})

    async def _echo(self, receive: Receive, send: Send) -> None:
        random = self._random
        fails_at = random.randint(0, 4) if random.random() < 0.05 else -1
        closes_at = random.randint(1, 5) if random.random() < 0.15 else -1
        while (event := await receive())["type"] == "websocket.receive":
            await self._nap()
            if event["n"] == fails_at:
                raise ZeroDivisionError
            await send({"type": "websocket.send", "bytes": marked(self._mark(echo=event["n"]), self._padding())})
            if self._resumable:
                await send({"type": "towpath.state", "state": {"next": event["n"] + 1}})
            if event["n"] == closes_at:
                await send({"type": "websocket.close", "code": 1000, "reason": json.dumps(self._mark())})
                return
        self._record.check(event["type"] == "websocket.disconnect", "it ends with its disconnect")

    async def _tick(self, send: Send) -> None:
        """What nobody has asked for; it may be said between two owners, and waits then."""
        if self._random.random() < 0.5:
            return
        with contextlib.suppress(ClientGone, RuntimeError):
            for _ in range(self._random.randint(1, 4)):
                await asyncio.sleep(self._random.uniform(0.0, 2.0))
                await send({"type": "websocket.send", "bytes": marked(self._mark("tick"), self._padding())})

    async def _talk(self, send: Send) -> None:
        """One sequence by three ways."""
        with contextlib.suppress(ClientGone, RuntimeError):
            for _ in range(self._random.randint(1, 12)):
                await send(self._said())
                await self._say_by_the_layer()
                await send(self._said())
                await asyncio.sleep(self._random.choice((0.0, 0.0, 0.0, 0.001, 1.0)))

    async def _say_by_the_layer(self) -> None:
        """What has not left is said to nobody: Redis may be away."""
        layer, group = self.process.dispatcher.layer, self.line.reply_channel.replace("!", ".")
        with contextlib.suppress(LayerUnavailable, ChannelGone):
            if not self._joined:
                await layer.group_add(group, self.line.reply_channel)
                self._joined = True
            await layer.group_send(group, self._said())
            await layer.send(self.line.reply_channel, self._said())

    def _said(self) -> Event:
        return {"type": "websocket.send", "bytes": marked(self._mark("said"), b"")}

    def _mark(self, task: str = "echo", **more: int) -> Mark:
        mark = {"client": self.client, "instance": self.number, "task": task, "index": self._told[task], **more}
        if self._found is not None and "echo" in mark:
            mark["found"] = self._found
        self._told[task] += 1
        return mark

    def _padding(self) -> bytes:
        return bytes(self._random.randint(0, PADDING_SIZE_BYTES_MAX))

    async def _nap(self) -> None:
        rare = self._random.random()
        await asyncio.sleep(self._random.uniform(0.0, 1.5) if rare < 0.04 else self._random.uniform(0.0, 0.02))

    def _raised(self, scope: Event, error: BaseException) -> None:
        on_purpose = isinstance(error, ZeroDivisionError | asyncio.CancelledError | GeneratorExit)
        self._record.check(on_purpose, f"the application raised {error!r}")
        self._downstream.close(Close.FAILED)

    def _has_ended(self) -> None:
        self.over = self._last_word
        self._record.tell(f"instance {self.number} of {self.client} is over: {self.over}")
        self._host.ended()
