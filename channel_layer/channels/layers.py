"""The layers of this process for the options of Channels: its own where they mean the same Redis and prefix, else one for each pair.

A worker of Towpath has a layer, and a process with TOWPATH_REDIS as well. Options that are left out are those of that layer; without
one they are those of the other variables, and channels_redis' server.
"""

from __future__ import annotations

import os

from channel_layer import KEY_FILE_VARIABLE, KEYS_VARIABLE, PREFIX_VARIABLE, get_channel_layer
from channel_layer.application.capacities import LayerSettings
from channel_layer.channels.config import ChannelsConfig
from channel_layer.encryption.keyring import check_keys
from channel_layer.layer import ChannelLayer
from channel_layer.layer_thread import LayerThread
from channel_layer.redis.address_file import address_source
from channel_layer.settings import RedisSettings

DEFAULT_URL = "redis://localhost:6379/0"
#: A consumer that ends cancels its receive, and does not say that its channel is over. What waited there has expired by then.
ABANDONED_S_MIN = 60.0

_threads: dict[RedisSettings, LayerThread] = {}


def layer_for(config: ChannelsConfig) -> ChannelLayer:
    """The layer for these options. Connects to nothing yet."""
    settings = LayerSettings(
        capacity=config.capacity,
        channel_capacity=dict(config.channel_capacity),
        expiry_s=config.expiry_s,
        group_expiry_s=config.group_expiry_s,
        abandoned_s=max(ABANDONED_S_MIN, config.expiry_s),
    )
    own = _own_layer()
    if own is not None and _means(config, own.home.redis):
        return ChannelLayer(own.home, settings)
    redis = _redis_settings(config, own.home.redis if own is not None else _of_variables())
    thread = _threads.get(redis) or _threads.setdefault(redis, LayerThread(redis))
    return ChannelLayer(thread, settings)


def check(config: ChannelsConfig) -> None:
    """Raise ValueError for a URL that is none, and for a key that cannot be one."""
    check_keys(config.encryption_keys)
    if config.url is not None:
        address_source(config.url)


def _own_layer() -> ChannelLayer | None:
    """The layer that this process has without any options."""
    try:
        return get_channel_layer()
    except RuntimeError:
        return None


def _means(config: ChannelsConfig, redis: RedisSettings) -> bool:
    """True if these options lead to the same data as `redis`."""
    if config.prefix not in (None, redis.prefix) or config.encryption_keys not in ((), redis.encryption_keys):
        return False
    return config.url is None or _server(config.url) == _server(redis.url)


def _server(url: str) -> tuple[object, ...]:
    """What tells one database from another; credentials and certificates do not."""
    address = address_source(url).current()
    if address.sentinels:
        return frozenset(address.sentinels), address.service, address.db
    if address.path is not None:
        return os.path.realpath(address.path), address.db
    return "127.0.0.1" if address.host == "localhost" else address.host, address.port, address.db


def _redis_settings(config: ChannelsConfig, otherwise: RedisSettings) -> RedisSettings:
    """The Redis of these options. otherwise: for those that are left out."""
    keys, key_file = config.encryption_keys, ""
    if not keys:
        keys, key_file = otherwise.encryption_keys, otherwise.encryption_key_file
    return RedisSettings(
        url=config.url or otherwise.url,
        prefix=config.prefix or otherwise.prefix,
        encryption_keys=keys,
        encryption_key_file=key_file,
    )


def _of_variables() -> RedisSettings:
    """What the variables of Towpath say beside the URL, which is channels_redis' default."""
    return RedisSettings(
        url=DEFAULT_URL,
        prefix=os.environ.get(PREFIX_VARIABLE) or RedisSettings().prefix,
        encryption_keys=tuple(os.environ.get(KEYS_VARIABLE, "").split()),
        encryption_key_file=os.environ.get(KEY_FILE_VARIABLE, ""),
    )
