"""CONFIG of CHANNEL_LAYERS, as users of channels_redis have it, option by option."""

from __future__ import annotations

import re
from typing import Any

import pytest

from channel_layer.channels.config import ChannelsConfig


def test_without_options_the_defaults_are_those_of_channels_redis() -> None:
    config = ChannelsConfig.of({})
    assert (config.expiry_s, config.group_expiry_s, config.capacity) == (60, 86_400, 100)
    assert (config.url, config.prefix, config.channel_capacity, config.encryption_keys) == (None, None, (), ())


def test_every_option_is_read() -> None:
    regex = re.compile(r"specific\..*")
    config = ChannelsConfig.of(
        {
            "hosts": [("h", 1)],
            "prefix": "asgi",
            "expiry": 10,
            "group_expiry": 3600,
            "capacity": 5,
            "channel_capacity": {"email.*": 1000, regex: 20},
            "symmetric_encryption_keys": ["new", "old"],
            "random_prefix_length": 12,
            "serializer_format": "msgpack",
            "on_disconnect": None,
        }
    )
    assert (config.url, config.prefix) == ("redis://h:1/0", "asgi")
    assert (config.expiry_s, config.group_expiry_s, config.capacity) == (10, 3600, 5)
    assert config.channel_capacity == (("email.*", 1000), (regex, 20))
    assert config.encryption_keys == ("new", "old")
    assert config.without_effect == {"random_prefix_length"}


def test_equal_options_are_equal_values() -> None:
    """A layer is found by them."""
    options: dict[str, Any] = {"hosts": [("h", 1)], "channel_capacity": {"a*": 3}}
    assert ChannelsConfig.of(options) == ChannelsConfig.of(dict(options))
    assert hash(ChannelsConfig.of(options)) == hash(ChannelsConfig.of(dict(options)))


def test_a_key_may_be_of_bytes() -> None:
    """As channels_redis takes it."""
    options = {"symmetric_encryption_keys": [b"new", "old"]}
    assert ChannelsConfig.of(options).encryption_keys == ("new", "old")


def test_neither_password_nor_key_is_shown() -> None:
    shown = repr(ChannelsConfig.of({"hosts": ["redis://:hidden@h"], "symmetric_encryption_keys": ["secret"]}))
    assert "hidden" not in shown and "secret" not in shown


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"host": "localhost"}, "CONFIG has no option host"),
        ({"hosts": ["redis://a", "redis://b"]}, "2 servers"),
        ({"prefix": ""}, "prefix is a text"),
        ({"prefix": b"asgi"}, "prefix is a text"),
        ({"expiry": 0}, "expiry is a number of seconds"),
        ({"expiry": float("inf")}, "expiry is a number of seconds"),
        ({"expiry": float("nan")}, "expiry is a number of seconds"),
        ({"group_expiry": True}, "group_expiry is a number of seconds"),
        ({"expiry": "60"}, "expiry is a number of seconds"),
        ({"group_expiry": None}, "group_expiry is a number of seconds"),
        ({"capacity": 0}, "capacity is a number of messages"),
        ({"capacity": True}, "capacity is a number of messages"),
        ({"channel_capacity": [("a*", 1)]}, "channel_capacity is a dict"),
        ({"channel_capacity": {3: 1}}, "neither a glob nor"),
        ({"channel_capacity": {"a*": "1"}}, "number of messages"),
        ({"symmetric_encryption_keys": "key"}, "a list of keys"),
        ({"symmetric_encryption_keys": [b""]}, "each key is a text"),
        ({"symmetric_encryption_keys": [b"\xff"]}, "the UTF-8 of a text"),
        ({"serializer_format": "json"}, "always msgpack"),
        ({"on_disconnect": "redis.disconnect"}, "no message is sent"),
    ],
)
def test_what_cannot_be_kept_is_refused_in_one_sentence(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words) as refused:
        ChannelsConfig.of(options)
    assert "\n" not in str(refused.value)
