"""Options of Redis: their types are checked, and no key stands in an error."""

from __future__ import annotations

from typing import Any

import pytest

import channel_layer
from channel_layer.application.redis_options import redis_settings
from channel_layer.settings import RedisSettings

BAD: list[tuple[dict[str, Any], str]] = [
    ({"prefix": 5}, "prefix is a text, not 5"),
    ({"prefix": None}, "prefix is a text, not None"),
    ({"encryption_keys": "secret"}, "encryption_keys is a list of keys, also with a single one"),
    ({"encryption_keys": b"secret"}, "encryption_keys is a list of keys"),
    ({"encryption_keys": [b"secret"]}, "encryption_keys: each key is a text"),
    ({"encryption_keys": 5}, "encryption_keys is a list of keys"),
    ({"encryption_key_file": b"file"}, "encryption_key_file is a text"),
    ({"capacity": True}, "capacity is a number of messages above 0, not True"),
    ({"channel_capacity": [("a", 1)]}, "channel_capacity is a dict"),
    ({"channel_capacity": []}, "channel_capacity is a dict"),
    ({"expiry": float("inf")}, "expiry is a number of seconds above 0 and at most"),
    ({"expiry": float("nan")}, "expiry is a number of seconds"),
    ({"group_expiry": True}, "group_expiry is a number of seconds"),
]


def test_without_options_the_settings_are_those_of_all_commands() -> None:
    assert redis_settings("redis://h") == RedisSettings(url="redis://h")
    assert redis_settings("redis://h", "").prefix == ""


@pytest.mark.parametrize(("options", "words"), BAD, ids=str)
async def test_a_wrong_option_is_one_sentence_for_both_layers(options: dict[str, Any], words: str) -> None:
    """P12. Before anything connects: nobody listens there."""
    with pytest.raises(ValueError, match=words) as refused:
        await channel_layer.connect("redis://127.0.0.1:1", **options)
    with pytest.raises(ValueError, match=words) as blocking:
        channel_layer.connect_blocking("redis://127.0.0.1:1", **options)
    assert str(refused.value) == str(blocking.value)
    assert "\n" not in str(refused.value) and "secret" not in str(refused.value)


def test_a_url_is_a_text() -> None:
    with pytest.raises(ValueError, match="url is a text, not None"):
        redis_settings(None)
