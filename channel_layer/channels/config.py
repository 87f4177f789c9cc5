"""The options of a channel layer in Django's CHANNEL_LAYERS, as channels_redis has them.

Each option of channels_redis either means the same here, or has no effect and is named in `without_effect`, or is refused in one
sentence. docs/from-channels-redis.md has the whole table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from channel_layer.application.capacities import (
    CAPACITY,
    EXPIRY_S,
    GROUP_EXPIRY_S,
    check_capacities,
    check_capacity,
    check_seconds,
)
from channel_layer.application.redis_options import check_key_list
from channel_layer.channels.hosts import url_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelsConfig:
    """CONFIG of one alias. Equal ones share one layer."""

    url: str | None = field(default=None, repr=False)  #: None: of this process' environment
    prefix: str | None = None  #: None: of this process' environment
    expiry_s: float = EXPIRY_S
    group_expiry_s: float = GROUP_EXPIRY_S
    capacity: int = CAPACITY
    channel_capacity: tuple[tuple[Any, int], ...] = ()  #: pairs of a glob or a compiled regex, and a capacity
    encryption_keys: tuple[str, ...] = field(default=(), repr=False)
    without_effect: frozenset[str] = frozenset()  #: names that were given and change nothing

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> ChannelsConfig:
        """Read CONFIG. Raises ValueError with one sentence for an option that is unknown, refused or wrong."""
        values: dict[str, Any] = {}
        without_effect: set[str] = set()
        for name, value in options.items():
            if name == "hosts":
                values["url"], ignored = url_of(value)
                without_effect |= ignored
            elif name in _READERS:
                field_name, read = _READERS[name]
                values[field_name] = read(name, value)
            elif name == "random_prefix_length":
                without_effect.add(name)
            else:
                _refuse(name, value)
        return cls(**values, without_effect=frozenset(without_effect))


def _prefix(name: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} is a text that is not empty, not {value!r}")
    return value


def _capacities(name: str, value: object) -> tuple[tuple[Any, int], ...]:
    return () if value is None else tuple(check_capacities(name, value).items())


def _keys(name: str, value: object) -> tuple[str, ...]:
    """The keys, as texts: channels_redis takes bytes, too."""
    if isinstance(value, list | tuple):
        value = [_text(name, key) for key in value]
    return () if value is None else check_key_list(name, value)


def _text(name: str, key: object) -> object:
    """The text of a key of bytes. Raises ValueError for one that is none, without the key."""
    try:
        return key.decode() if isinstance(key, bytes) else key
    except UnicodeDecodeError:
        raise ValueError(f"{name}: a key of bytes is the UTF-8 of a text") from None


_READERS: dict[str, tuple[str, Callable[[str, object], Any]]] = {
    "prefix": ("prefix", _prefix),
    "expiry": ("expiry_s", check_seconds),
    "group_expiry": ("group_expiry_s", check_seconds),
    "capacity": ("capacity", check_capacity),
    "channel_capacity": ("channel_capacity", _capacities),
    "symmetric_encryption_keys": ("encryption_keys", _keys),
}


def _refuse(name: str, value: object) -> None:
    """Raise ValueError, unless `value` is what Towpath does anyhow."""
    if name == "serializer_format":
        if value != "msgpack":
            raise ValueError(f"serializer_format {value!r}: messages are always msgpack; remove the option")
    elif name in ("on_disconnect", "on_reconnect"):
        if value is not None:
            raise ValueError(f"{name}: no message is sent for it, as in channels_redis 4.3; remove the option")
    else:
        known = ", ".join(("hosts", *_READERS))
        raise ValueError(f"CONFIG has no option {name}; the options are {known}")
