"""The channel layer: send to the clients of a deployment, to groups of them, and to code in other processes, over Redis.

Applications import this package, and nothing else of Towpath.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from channel_layer.errors import (
    ChannelFull,
    ChannelGone,
    ChannelLayerError,
    InvalidMessage,
    InvalidName,
    LayerUnavailable,
    LayerUnusable,
    MessageTooLarge,
    NothingSent,
)
from channel_layer.settings import PREFIX

if TYPE_CHECKING:
    from channel_layer.blocking.blocking_layer import BlockingChannelLayer
    from channel_layer.connecting import Connecting
    from channel_layer.layer import ChannelLayer

#: The environment variables of a process that Towpath does not serve.
REDIS_VARIABLE, PREFIX_VARIABLE = "TOWPATH_REDIS", "TOWPATH_PREFIX"
REDIS_FILE_VARIABLES = ("TOWPATH_REDIS_URL_FILE", "TOWPATH_REDIS_FILE")
KEYS_VARIABLE, KEY_FILE_VARIABLE = "TOWPATH_ENCRYPTION_KEYS", "TOWPATH_ENCRYPTION_KEY_FILE"

_layer: ChannelLayer | None = None
_making = threading.RLock()  # two threads that come first get the same one


def get_channel_layer() -> ChannelLayer:
    """The channel layer of this process: in a worker its own, elsewhere one for the Redis that TOWPATH_REDIS names.

    The same object for all calls, until it is closed.

    TOWPATH_REDIS_URL_FILE (or TOWPATH_REDIS_FILE) names a file that holds this URL instead. The prefix is that of TOWPATH_PREFIX, or
    the default of all commands; the encryption keys are those of TOWPATH_ENCRYPTION_KEYS or TOWPATH_ENCRYPTION_KEY_FILE.

    Connects at the first call of the layer, not here. Raises RuntimeError in a process that Towpath does not serve and that has none of
    the variables for the URL.
    """
    global _layer
    with _making:
        if _layer is None or _layer.closed:
            _layer = _of_environment()
        return _layer


def _of_environment() -> ChannelLayer:
    url = os.environ.get(REDIS_VARIABLE) or _url_of_file()
    if not url:
        raise RuntimeError(
            f"no channel layer here: set {REDIS_VARIABLE} (and {PREFIX_VARIABLE}) to those of the deployment, or call connect()"
        )
    keys = tuple(os.environ.get(KEYS_VARIABLE, "").split())
    return _new(url, os.environ.get(PREFIX_VARIABLE) or PREFIX, {}, keys, os.environ.get(KEY_FILE_VARIABLE, ""))


def _url_of_file() -> str | None:
    """The URL that stands for the file with the URL; None if no variable names one."""
    paths = filter(None, map(os.environ.get, REDIS_FILE_VARIABLES))
    return next((Path(path).absolute().as_uri() for path in paths), None)


def set_channel_layer(layer: ChannelLayer | None) -> None:
    """Set what `get_channel_layer` returns from now on. For the composition root of a process."""
    global _layer
    _layer = layer


def connect(
    url: str,
    *,
    prefix: str = PREFIX,
    capacity: int = 100,
    channel_capacity: Mapping[Any, int] | None = None,
    expiry: float = 60.0,
    group_expiry: float = 86_400.0,
    encryption_keys: Sequence[str] = (),
    encryption_key_file: str = "",
) -> Connecting:
    """Connect to the Redis of a deployment, from any process: `await connect(…)` returns its channel layer.

    `await layer.close()` ends it, and so does `async with connect(…) as layer`.

    url: `redis://`, `rediss://`, `unix://`, `redis+sentinel://`, or `file:///path` of a file that holds one. prefix: that of the
    deployment (`--prefix`). capacity: messages that one channel holds; channel_capacity: the same by globs or compiled regular
    expressions. expiry, group_expiry: seconds.
    encryption_keys, encryption_key_file: those of the deployment (`--encryption-key-file`), as a list or as the path of a file.

    Raises ValueError for a value that is none; when it connects, LayerUnavailable if Redis is unreachable.
    """
    from channel_layer.connecting import Connecting

    terms = _terms(capacity, channel_capacity, expiry, group_expiry)
    return Connecting(_new(url, prefix, terms, encryption_keys, encryption_key_file))


def _terms(
    capacity: int, channel_capacity: Mapping[Any, int] | None, expiry: float, group_expiry: float
) -> dict[str, Any]:
    """These options as LayerSettings takes them."""
    patterns = {} if channel_capacity is None else channel_capacity
    return {"capacity": capacity, "channel_capacity": patterns, "expiry_s": expiry, "group_expiry_s": group_expiry}


def _new(url: str, prefix: str, terms: dict[str, Any], keys: Sequence[str], key_file: str) -> ChannelLayer:
    # Here and not above: a program that only names the errors need not load all of it.
    from channel_layer.application.capacities import LayerSettings
    from channel_layer.application.redis_options import redis_settings
    from channel_layer.layer import ChannelLayer
    from channel_layer.layer_thread import LayerThread
    from channel_layer.messaging.node_context import NodeContext

    settings = redis_settings(url, prefix, keys, key_file)
    NodeContext.of("check", "layer", settings)  # raises ValueError for a URL or a key that is none
    return ChannelLayer(LayerThread(settings), LayerSettings(**terms))


def connect_blocking(
    url: str,
    *,
    prefix: str = PREFIX,
    capacity: int = 100,
    channel_capacity: Mapping[Any, int] | None = None,
    expiry: float = 60.0,
    group_expiry: float = 86_400.0,
    encryption_keys: Sequence[str] = (),
    encryption_key_file: str = "",
    connections_max: int = 32,
    timeout: float = 5.0,
) -> BlockingChannelLayer:
    """Return a channel layer for code without an event loop. It connects at its first call, and serves all threads of the process.

    The first options as `connect` takes them. connections_max: a call waits for a free one beyond that.
    timeout: seconds for connecting, and for each answer. Raises ValueError for a value that is none.
    """
    from channel_layer.application.capacities import LayerSettings
    from channel_layer.application.redis_options import redis_settings
    from channel_layer.blocking.blocking_layer import BlockingChannelLayer

    redis = redis_settings(url, prefix, encryption_keys, encryption_key_file)
    settings = LayerSettings(**_terms(capacity, channel_capacity, expiry, group_expiry))
    return BlockingChannelLayer(redis, settings, connections_max, timeout)


__all__ = [
    "ChannelFull",
    "ChannelGone",
    "ChannelLayerError",
    "InvalidMessage",
    "InvalidName",
    "LayerUnavailable",
    "LayerUnusable",
    "MessageTooLarge",
    "NothingSent",
    "connect",
    "connect_blocking",
    "get_channel_layer",
    "set_channel_layer",
]
