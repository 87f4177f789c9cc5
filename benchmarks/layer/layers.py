"""The layers by their names: how each is configured, the same for all where they have the same option."""

from __future__ import annotations

from typing import Any

BACKENDS = {
    "towpath": "channel_layer.channels.RedisChannelLayer",
    "core": "channels_redis.core.RedisChannelLayer",
    "pubsub": "channels_redis.pubsub.RedisPubSubChannelLayer",
}


def host(name: str, url: str) -> Any:
    """An entry of the option `hosts`.

    channels_redis with redis-py 8 ends a consumer after 5 s of silence, unless it is told to wait for ever.
    """
    return url if name == "towpath" else {"address": url, "socket_timeout": None}


def setting(name: str, url: str) -> dict[str, Any]:
    """What stands in Django's CHANNEL_LAYERS for it."""
    return {"default": {"BACKEND": BACKENDS[name], "CONFIG": {"hosts": [host(name, url)]}}}


async def opened(name: str, url: str, **options: Any) -> Any:
    """The layer of this name in a process that no server runs. options: those that all layers have."""
    if name == "towpath":
        import channel_layer

        return await channel_layer.connect(url, **options)
    return channels_redis(name, url, **options)


def channels_redis(name: str, url: str, **options: Any) -> Any:
    from django.utils.module_loading import import_string  # type: ignore[import-untyped]  # Django brings no types

    return import_string(BACKENDS[name])(hosts=[host(name, url)], **options)
