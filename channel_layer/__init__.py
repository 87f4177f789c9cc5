"""The channel layer: shared channels, inboxes, packets and groups over Redis.

Applications import this package, and nothing else of Towpath.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from channel_layer.errors import (
    ChannelFull,
    ChannelGone,
    ChannelLayerError,
    InvalidMessage,
    InvalidName,
    LayerUnavailable,
    MessageTooLarge,
    NothingSent,
)

if TYPE_CHECKING:
    from channel_layer.layer import ChannelLayer

_layer: ChannelLayer | None = None


def get_channel_layer() -> ChannelLayer:
    """The channel layer of this process. Raises RuntimeError in a process that Towpath does not serve."""
    if _layer is None:
        raise RuntimeError("no channel layer here: the application is not served by a Towpath worker")
    return _layer


def set_channel_layer(layer: ChannelLayer | None) -> None:
    """Set what `get_channel_layer` returns from now on. For the composition root of a process."""
    global _layer
    _layer = layer


__all__ = [
    "ChannelFull",
    "ChannelGone",
    "ChannelLayerError",
    "InvalidMessage",
    "InvalidName",
    "LayerUnavailable",
    "MessageTooLarge",
    "NothingSent",
    "get_channel_layer",
    "set_channel_layer",
]
