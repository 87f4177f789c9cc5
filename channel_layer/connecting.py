"""What `channel_layer.connect` returns: a layer to be awaited, or to be entered, which both connect it."""

from __future__ import annotations

from collections.abc import Generator
from types import TracebackType
from typing import Any

from channel_layer.layer import ChannelLayer


class Connecting:
    """A channel layer that connects when it is awaited. `async with` closes it, too."""

    __slots__ = ("_layer",)

    def __init__(self, layer: ChannelLayer) -> None:
        self._layer = layer

    def __await__(self) -> Generator[Any, None, ChannelLayer]:
        return self._connected().__await__()

    async def __aenter__(self) -> ChannelLayer:
        return await self._connected()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._layer.close()

    async def _connected(self) -> ChannelLayer:
        """The layer, connected. Raises LayerUnavailable."""
        try:
            await self._layer.start()
        except BaseException:  # also cancelled: the thread goes on to connect
            await self._layer.close()
            raise
        return self._layer
