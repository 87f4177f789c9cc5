"""Which connections the options of Channels lead to: those of the process where they mean the same, else others. Nothing connects."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from channel_layer import set_channel_layer
from channel_layer.channels.config import ChannelsConfig
from channel_layer.channels.layers import layer_for
from channel_layer.layer import ChannelLayer
from channel_layer.layer_thread import LayerThread
from channel_layer.settings import RedisSettings

KEY, OTHER_KEY = "a key of thirty-two characters: 01", "a key of thirty-two characters: 02"


@pytest.fixture
def own(request: pytest.FixtureRequest) -> Iterator[ChannelLayer]:
    """The layer that a worker would have, for the settings that a test names."""
    layer = ChannelLayer(LayerThread(RedisSettings(**request.param)))
    set_channel_layer(layer)
    yield layer
    set_channel_layer(None)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """A process that Towpath does not serve, with no variable of its own yet."""
    for name in ("TOWPATH_REDIS", "TOWPATH_PREFIX", "TOWPATH_ENCRYPTION_KEYS", "TOWPATH_ENCRYPTION_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    set_channel_layer(None)
    yield monkeypatch
    set_channel_layer(None)


def layer(**options: Any) -> ChannelLayer:
    return layer_for(ChannelsConfig.of(options))


HERE = {"url": "redis://localhost:6379/1", "prefix": "site:"}


@pytest.mark.parametrize("own", [HERE], indirect=True)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"prefix": "site:"},
        {"hosts": ["redis://localhost/1"]},
        {"hosts": [{"host": "127.0.0.1", "db": 1, "password": "p"}], "prefix": "site:", "capacity": 3},
    ],
)
def test_options_that_mean_the_redis_of_the_process_lead_to_its_connections(
    own: ChannelLayer, options: dict[str, Any]
) -> None:
    assert layer(**options).home is own.home


@pytest.mark.parametrize("own", [HERE], indirect=True)
@pytest.mark.parametrize(
    ("options", "url", "prefix"),
    [
        ({"prefix": "other:"}, "redis://localhost:6379/1", "other:"),
        ({"hosts": ["redis://localhost/2"]}, "redis://localhost/2", "site:"),
        ({"hosts": [("other", 6379)], "prefix": "site:"}, "redis://other:6379/0", "site:"),
        ({"hosts": ["unix:///run/redis.sock?db=1"]}, "unix:///run/redis.sock?db=1", "site:"),
    ],
)
def test_other_options_lead_to_connections_of_their_own(
    own: ChannelLayer, options: dict[str, Any], url: str, prefix: str
) -> None:
    """Equal ones to the same."""
    redis = layer(**options).home.redis
    assert (redis.prefix, redis.url.replace("/0", "")) == (prefix, url.replace("/0", ""))
    assert layer(**options, capacity=7).home.redis is redis


def test_a_file_with_the_url_is_the_server_that_it_names(tmp_path: Path) -> None:
    """A worker with --redis-url-file, and settings that name the server, or the other way round."""
    file = tmp_path / "redis-url"
    file.write_text("redis://:secret@localhost:6379/1")
    own = ChannelLayer(LayerThread(RedisSettings(url=file.as_uri(), prefix="site:")))
    set_channel_layer(own)
    try:
        assert layer(hosts=["redis://localhost/1"]).home is own.home
        assert layer(hosts=[file.as_uri()]).home is own.home
        assert layer(hosts=["redis://localhost/2"]).home is not own.home
    finally:
        set_channel_layer(None)


SENTINELS = {"url": "redis+sentinel://one:26379,two:26379/mymaster/0", "prefix": "towpath:"}


@pytest.mark.parametrize("own", [SENTINELS], indirect=True)
def test_the_order_of_sentinels_makes_no_other_service(own: ChannelLayer) -> None:
    hosts = {"sentinels": [("two", 26379), ("one", 26379)], "master_name": "mymaster"}
    assert layer(hosts=[hosts]).home is own.home
    assert layer(hosts=[{**hosts, "master_name": "other"}]).home is not own.home


def test_the_variables_of_a_process_count_where_options_are_left_out(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("TOWPATH_REDIS", "redis://there:1/2")
    environment.setenv("TOWPATH_PREFIX", "site:")
    assert (layer().home.redis.url, layer().home.redis.prefix) == ("redis://there:1/2", "site:")
    assert layer(hosts=[("other", 1)]).home.redis.prefix == "site:"


def test_without_options_and_variables_redis_is_on_this_machine(environment: pytest.MonkeyPatch) -> None:
    assert (layer().home.redis.url, layer().home.redis.prefix) == ("redis://localhost:6379/0", "towpath:")
    environment.setenv("TOWPATH_PREFIX", "site:")
    assert layer().home.redis.prefix == "site:"


@pytest.mark.parametrize("own", [{**HERE, "encryption_keys": (KEY,)}], indirect=True)
def test_keys_are_those_of_the_process_unless_options_say_others(own: ChannelLayer) -> None:
    """Layers with other keys cannot share an inbox."""
    assert layer().home is layer(symmetric_encryption_keys=[KEY]).home is own.home
    other = layer(symmetric_encryption_keys=[OTHER_KEY, KEY]).home
    assert (other is own.home, other.redis.encryption_keys) == (False, (OTHER_KEY, KEY))
    assert layer(prefix="other:").home.redis.encryption_keys == (KEY,)


def test_keys_may_come_by_the_variables(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("TOWPATH_ENCRYPTION_KEYS", "first second")
    environment.setenv("TOWPATH_ENCRYPTION_KEY_FILE", "/run/secrets/keys")
    redis = layer(hosts=[("h", 1)]).home.redis
    assert (redis.encryption_keys, redis.encryption_key_file) == (("first", "second"), "/run/secrets/keys")
    redis = layer(hosts=[("h", 1)], symmetric_encryption_keys=[KEY]).home.redis
    assert (redis.encryption_keys, redis.encryption_key_file) == ((KEY,), "")
