"""A TCP proxy in front of a unix socket that can fall mute: it goes on taking what is said, and nobody ever hears of it.

That is what a half-open connection looks like: no reset, no end, no error, and TCP itself is content.
"""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path


class Pair:
    """One connection through it. `said`: the beginning of what the client has said."""

    def __init__(self) -> None:
        self.said = b""
        self.mute = False


class SwallowingProxy:
    """Runs in a thread of its own from `start` to `stop`, on 127.0.0.1."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="swallowing-proxy")
        self._pairs: list[Pair] = []
        self._writers: list[asyncio.StreamWriter] = []
        self._mute_new = False
        self.port = 0

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> SwallowingProxy:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(5)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._close)
        self._thread.join()
        self._loop.close()

    def mute(self, new: bool = False) -> int:
        """From now on nothing passes on these connections, for ever; on `new` ones neither, until `heal`. How many they are."""
        self._mute_new = new
        muted = [pair for pair in list(self._pairs) if not pair.mute]
        for pair in muted:
            pair.mute = True
        return len(muted)

    def heal(self) -> None:
        """New connections pass; those that were muted stay as they are."""
        self._mute_new = False

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._come, "127.0.0.1", 0)

    def _close(self) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.call_later(0.05, self._loop.stop)

    async def _come(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pair = Pair()
        pair.mute = self._mute_new
        redis_reader, redis_writer = await asyncio.open_unix_connection(str(self._target))
        self._pairs.append(pair)
        self._writers += (writer, redis_writer)
        await asyncio.gather(
            self._dispatcher(pair, reader, redis_writer, True),
            self._dispatcher(pair, redis_reader, writer, False),
            return_exceptions=True,
        )

    async def _dispatcher(
        self, pair: Pair, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, from_client: bool
    ) -> None:
        try:
            while data := await reader.read(65_536):
                if from_client and len(pair.said) < 65_536:
                    pair.said += data
                if not pair.mute:
                    writer.write(data)
                    await writer.drain()
        except OSError:
            pass
        if from_client or not pair.mute:  # a mute connection does not end either, as far as the client can see
            writer.close()
