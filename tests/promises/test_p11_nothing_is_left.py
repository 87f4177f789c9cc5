"""P11: when all clients are gone, no key without a TTL is left."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import httpx
from redis import Redis
from websockets.sync.client import connect

import channel_layer
from channel_layer import ChannelFull
from tests.promises.conftest import PROJECT, Traces
from tests.support.plain_http import PLAIN
from tests.support.redis_look import keys_without_a_ttl
from tests.support.serving import Server, towpath_serve


def test_nothing_is_left_without_a_ttl(tmp_path: Path, traces: Traces, redis: Server, url: str) -> None:
    """P11. While processes live, after clients have gone, and after the processes have gone."""
    with towpath_serve(
        "witness", app_dir=PROJECT, run_dir=tmp_path, env=traces.env, options=("--redis", url)
    ) as server:
        assert httpx.get(f"{server.url}/hello", **PLAIN).text == "/hello"
        with connect(f"{server.websocket_url}/socket") as socket:
            socket.send("hello")
            assert socket.recv() == "hello"
            assert keys_without_a_ttl(url) == []
        assert keys_without_a_ttl(url) == []
    assert keys_without_a_ttl(url) == []


async def test_channel_layers_of_other_processes_leave_nothing_without_a_ttl(url: str) -> None:
    """P11. Shared channels that nobody reads, or that were read in part, groups without members, channels of the processes' own."""
    layer, blocking = await channel_layer.connect(url, capacity=3), channel_layer.connect_blocking(url, capacity=3)
    for channel in ("unread", "read", "full"):
        await layer.send(channel, {"type": "note"})
        await asyncio.to_thread(blocking.send, channel, {"type": "note"})
    await layer.receive("read")
    await asyncio.to_thread(blocking.receive, "read")
    await layer.send("full", {"type": "note"})
    for send in (layer.send("full", {"type": "note"}), asyncio.to_thread(blocking.send, "full", {"type": "note"})):
        try:
            await send
        except ChannelFull:
            continue
        raise AssertionError("a full channel took one more")
    own = await layer.new_channel()
    await layer.group_add("members", own)
    await layer.group_add("members", "read")
    for group in ("members", "nobody"):
        await layer.group_send(group, {"type": "note"})
        await asyncio.to_thread(blocking.group_send, group, {"type": "note"})
    assert keys_without_a_ttl(url) == []
    assert names(url) >= {
        "channel:unread",
        "channel-size:unread",
        "channel:full",
        "group-sequence:nobody",
        "group-channels:members",
    }
    await layer.close()
    await asyncio.to_thread(blocking.close)
    assert keys_without_a_ttl(url) == []
    assert not {name for name in names(url) if name.startswith(("inbox:", "node:"))}


def test_a_killed_process_with_a_channel_layer_leaves_nothing_without_a_ttl(url: str) -> None:
    """P11. Killed while it waits in `receive`, as a member of a group, with an answer under way."""
    program = f"""
import asyncio, channel_layer
async def main():
    layer = await channel_layer.connect({url!r})
    own = await layer.new_channel()
    await layer.group_add("members", own)
    await layer.send("work", {{"type": "note"}})
    await layer.receive("work")
    await layer.send(own, {{"type": "note"}})
    print("waits", flush=True)
    await layer.receive("work")
asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "waits\n"
        assert keys_without_a_ttl(url) == []
        process.send_signal(signal.SIGKILL)
    assert keys_without_a_ttl(url) == []
    assert any(name.startswith("inbox:layer.") for name in names(url))


def names(url: str) -> set[str]:
    """The keys that there are, without their prefix."""
    with Redis.from_url(url, decode_responses=True) as client:
        return {key.removeprefix("towpath:") for key in client.keys()}
