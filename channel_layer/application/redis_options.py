"""The options of a process that Towpath does not start: which Redis, which prefix, which encryption keys.

Only their types are checked here; a URL, a key and a file are checked where they are read.
"""

from __future__ import annotations

from collections.abc import Sequence

from channel_layer.process.log_values import shown
from channel_layer.settings import PREFIX, RedisSettings


def redis_settings(
    url: object, prefix: object = PREFIX, encryption_keys: object = (), encryption_key_file: object = ""
) -> RedisSettings:
    """The settings for these options. Raises ValueError with one sentence."""
    return RedisSettings(
        url=_check_text("url", url),
        prefix=_check_text("prefix", prefix),
        encryption_keys=check_key_list("encryption_keys", encryption_keys),
        encryption_key_file=_check_text("encryption_key_file", encryption_key_file),
    )


def check_key_list(name: str, value: object) -> tuple[str, ...]:
    """Return `value`, encryption keys, or raise ValueError with a text that does not contain them."""
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise ValueError(f"{name} is a list of keys, also with a single one")
    if not all(isinstance(key, str) and key for key in value):
        raise ValueError(f"{name}: each key is a text that is not empty")
    return tuple(value)


def _check_text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name} is a text, not {shown(value)}")
    return value
