"""The application of the rows of the channel layer: a group of WebSockets, and requests that have something sent to it.

BENCH_LAYER names the layer. `/?sends=…&how=loop` sends to the group in a coroutine, `how=thread` in a thread of the application's
own, `how=to_thread` in one of the loop's, both by `async_to_sync`. The answer has the nanoseconds that each call took.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

from asgiref.sync import async_to_sync

if os.environ["BENCH_LAYER"] == "reply":
    from layer.reply_channels import GROUP, get_channel_layer, message, room
else:
    from layer.consumers import GROUP, get_channel_layer, message, room

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

TEXT_LENGTH = 64


async def application(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await room(scope, receive, send)
        return
    query = {name.decode(): values[0].decode() for name, values in parse_qs(scope["query_string"]).items()}
    took_ns = await WAYS[query["how"]](int(query["sends"]), float(query["pause"]))
    body = json.dumps(took_ns).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def text(number: int) -> str:
    return f"{number:0{TEXT_LENGTH}d}"


async def in_the_loop(sends: int, pause_s: float) -> list[int]:
    took_ns = []
    for number in range(sends):
        began = time.perf_counter_ns()
        await get_channel_layer().group_send(GROUP, message(text(number)))
        took_ns.append(time.perf_counter_ns() - began)
        await asyncio.sleep(pause_s)
    return took_ns


def in_this_thread(sends: int, pause_s: float) -> list[int]:
    took_ns, send = [], async_to_sync(get_channel_layer().group_send)
    for number in range(sends):
        began = time.perf_counter_ns()
        send(GROUP, message(text(number)))
        took_ns.append(time.perf_counter_ns() - began)
        time.sleep(pause_s)
    return took_ns


async def in_a_thread_of_the_loop(sends: int, pause_s: float) -> list[int]:
    return await asyncio.to_thread(in_this_thread, sends, pause_s)


async def in_a_thread_of_its_own(sends: int, pause_s: float) -> list[int]:
    """A thread that neither the server nor asgiref knows."""
    loop, done = asyncio.get_running_loop(), asyncio.get_running_loop().create_future()

    def run() -> None:
        try:
            took_ns = in_this_thread(sends, pause_s)
        except BaseException as error:  # noqa: BLE001  # it is raised where the thread was started
            loop.call_soon_threadsafe(done.set_exception, error)
        else:
            loop.call_soon_threadsafe(done.set_result, took_ns)

    threading.Thread(target=run, daemon=True).start()
    result: list[int] = await done
    return result


WAYS: dict[str, Callable[[int, float], Awaitable[list[int]]]] = {
    "loop": in_the_loop,
    "to_thread": in_a_thread_of_the_loop,
    "thread": in_a_thread_of_its_own,
}
