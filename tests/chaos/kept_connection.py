"""One connection that a client keeps from request to request, as browsers and proxies do, and what it may make of its end.

Between two requests the server may end it at any moment. A request that was written just then gets nothing, not one byte: nobody can say
whether it was read. Whoever may ask twice asks again, once, on another connection; a POST is not sent again (RFC 9110, 9.2.2).
"""

from __future__ import annotations

import asyncio

from tests.chaos import response
from tests.chaos.outcomes import Ending

Outcome = tuple[Ending, int | None, bytes]
NOTHING: Outcome = (Ending.RESET, None, b"")


class KeptConnection:
    """`ask` for as long as one likes; it connects when it has to. `reused`: what was asked last was asked on one that had served before."""

    def __init__(self, port: int) -> None:
        self.reused = False
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes, idempotent: bool) -> Outcome:
        """What became of it. ConnectionRefusedError or the like if nobody listens: nothing was asked then."""
        outcome = await self._ask(request)
        if outcome != NOTHING or not self.reused or not idempotent:
            return outcome
        try:
            return await self._ask(request)
        except OSError:  # nobody listens any more
            self.reused = True
            return outcome

    def close(self) -> None:
        """End it, if it stands."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None

    async def _ask(self, request: bytes) -> Outcome:
        if self._streams is not None and self._streams[0].at_eof():
            self.close()  # it has ended between two requests, and that was seen in time
        self.reused = self._streams is not None
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        received = bytearray()
        kept = False
        try:
            writer.write(request)
            while not response.is_whole(bytes(received)) and (part := await reader.read(65_536)):
                received += part
            kept = response.is_whole(bytes(received)) and not response.says_close(bytes(received))
        except OSError:
            pass
        finally:
            if not kept:
                self.close()
        return response.read(bytes(received))
