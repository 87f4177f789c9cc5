"""The errors of the channel layer: each answers two questions."""

from __future__ import annotations

from channel_layer.errors import ChannelLayerError


def test_errors_say_whether_to_try_again_and_whether_anything_was_sent() -> None:
    """Two questions, answered per class."""
    for error in ChannelLayerError.__subclasses__():
        assert isinstance(error.retry, bool) and isinstance(error.known, bool)
