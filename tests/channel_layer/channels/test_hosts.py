"""`hosts` of channels_redis becomes the URL that means the same, or one sentence."""

from __future__ import annotations

import ssl
from typing import Any

import pytest

from channel_layer.channels.hosts import url_of
from channel_layer.redis.address import RedisAddress

SENTINELS = {"sentinels": [("one", 26379), ("two", 26380)], "master_name": "mymaster"}


@pytest.mark.parametrize(
    ("entry", "url"),
    [
        ("redis://localhost:6379", "redis://localhost:6379/0"),
        ("redis://:secret@10.0.0.1:6380/3", "redis://:secret@10.0.0.1:6380/3"),
        ("redis://user:p%40ss@host", "redis://user:p%40ss@host/0"),
        ("redis://host?db=4&password=x", "redis://:x@host/4"),
        ("redis://", "redis://localhost:6379/0"),
        ("unix:///run/redis.sock", "unix:///run/redis.sock"),
        ("unix://:secret@/run/redis.sock?db=2", "unix://:secret@/run/redis.sock?db=2"),
        ("rediss://host:6380", "rediss://host:6380/0"),
        ("redis+sentinel://one,two/mymaster/1", "redis+sentinel://one,two/mymaster/1"),
        (("localhost", 6379), "redis://localhost:6379/0"),
        (["::1", "6380"], "redis://[::1]:6380/0"),
        ({"host": "h", "port": 1, "db": 2, "password": "a/b:c@d"}, "redis://:a%2Fb%3Ac%40d@h:1/2"),
        ({"host": "h", "username": "u", "password": "p"}, "redis://u:p@h:6379/0"),
        ({"path": "/run/redis.sock", "db": 1}, "unix:///run/redis.sock?db=1"),
        ({"unix_socket_path": "/run/my redis.sock"}, "unix:///run/my%20redis.sock"),
        ({"address": "redis://h:6379", "password": "p", "db": 5}, "redis://:p@h:6379/5"),
        ({"address": "redis://:url@h/1", "password": "keyword", "db": 5}, "redis://:url@h/1"),
        ({"address": "rediss://u:p@h:1", "ssl_cert_reqs": None}, "rediss://u:p@h:1/0?ssl_cert_reqs=none"),
        ({"host": "h", "ssl": True, "ssl_cert_reqs": ssl.CERT_REQUIRED}, "rediss://h:6379/0?ssl_cert_reqs=required"),
        ({"address": "rediss://h", "ssl_cert_reqs": ssl.CERT_NONE}, "rediss://h/0?ssl_cert_reqs=none"),
        (
            {"address": "rediss://h", "ssl_ca_certs": "/etc/ca.pem", "ssl_check_hostname": False},
            "rediss://h/0?ssl_ca_certs=%2Fetc%2Fca.pem&ssl_check_hostname=False",
        ),
        (SENTINELS, "redis+sentinel://one:26379,two:26380/mymaster/0"),
        ({**SENTINELS, "master_name": b"mymaster"}, "redis+sentinel://one:26379,two:26380/mymaster/0"),
        (
            {**SENTINELS, "password": "p", "db": 3, "sentinel_kwargs": {"password": "s", "socket_timeout": 1}},
            "redis+sentinel://:p@one:26379,two:26380/mymaster/3?sentinel_password=s",
        ),
        (
            {**SENTINELS, "ssl": True, "ssl_ca_certs": "ca", "sentinel_kwargs": {"ssl": True, "ssl_ca_certs": "ca"}},
            "rediss+sentinel://one:26379,two:26380/mymaster/0?ssl_ca_certs=ca",
        ),
    ],
)
def test_each_form_of_a_host_is_a_url_of_the_same_server(entry: object, url: str) -> None:
    assert url_of([entry]) == (url, frozenset())
    RedisAddress.parse(url)


def test_the_url_has_what_the_entry_says() -> None:
    """What is quoted on one side is unquoted on the other."""
    address = RedisAddress.parse(url_of([{"host": "h", "username": "u@", "password": "a/b:c@d", "db": 2}])[0] or "")
    assert address.credentials is not None
    assert (address.host, address.port, address.db) == ("h", 6379, 2)
    assert (address.credentials.username, address.credentials.password) == ("u@", "a/b:c@d")
    own = {"username": "watch", "password": "s&?"}
    address = RedisAddress.parse(url_of([{**SENTINELS, "password": "p", "sentinel_kwargs": own}])[0] or "")
    assert address.sentinels == (("one", 26379), ("two", 26380)) and address.service == "mymaster"
    assert address.sentinel_credentials is not None and address.sentinel_credentials.password == "s&?"


def test_a_file_may_hold_the_url() -> None:
    """As with --redis-url-file; it is read when the layer is made."""
    assert url_of(["file:///run/secrets/redis-url"]) == ("file:///run/secrets/redis-url", frozenset())


@pytest.mark.parametrize("hosts", [None, [], ()])
def test_without_hosts_there_is_no_url(hosts: object) -> None:
    assert url_of(hosts) == (None, frozenset())


def test_keywords_that_tune_another_library_are_named_and_change_nothing() -> None:
    tuned = {"address": "redis://h?socket_timeout=5", "health_check_interval": 10, "max_connections": 3}
    assert url_of([tuned]) == ("redis://h/0", {"socket_timeout", "health_check_interval", "max_connections"})


@pytest.mark.parametrize(
    ("hosts", "words"),
    [
        ("redis://localhost", "hosts is a list"),
        ({"address": "redis://localhost"}, "hosts is a list"),
        (7, "hosts is a list"),
        (["redis://one", "redis://two"], "2 servers"),
        ([("one", 1), ("two", 2), ("three", 3)], "sharding"),
        ([7], "an entry of hosts"),
        ([("host",)], "an entry of hosts"),
        (["localhost:6379"], "an address is a URL"),
        ([{"address": "redis://h", "credential_provider": object()}], "credential_provider"),
        ([{"host": "h", "ssl_ca_data": "x", "ssl": True}], "ssl_ca_data"),
        (["redis://h?colour=red"], "colour"),
        ([{"host": "h", "ssl_ca_certs": "ca"}], "without TLS"),
        ([{"host": "h", "ssl": True, "ssl_cert_reqs": "optional"}], "ssl_cert_reqs is"),
        ([{"master_name": "mymaster"}], '"sentinels"'),
        ([{"sentinels": [("one", 1)]}], '"master_name"'),
        ([{**SENTINELS, "sentinels": ["one:1"]}], "a Sentinel is a pair"),
        ([{**SENTINELS, "host": "h"}], "the Sentinels name the server"),
        ([{**SENTINELS, "sentinel_kwargs": {"ssl": True}}], "both reached by TLS"),
        ([{**SENTINELS, "ssl": True}], "both reached by TLS"),
        ([{**SENTINELS, "sentinel_kwargs": {"colour": "red"}}], "colour"),
        ([{"address": "redis+sentinel://one/mymaster", "password": "p"}], "write it into the URL"),
    ],
)
def test_what_means_nothing_here_is_refused_in_one_sentence(hosts: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words) as refused:
        url_of(hosts)
    assert "\n" not in str(refused.value)


def test_no_refusal_shows_a_password() -> None:
    """Settings end up in logs by way of such errors."""
    for entry in ({"address": "redis://:hidden@h?colour=red"}, {**SENTINELS, "password": "hidden", "host": "h"}):
        with pytest.raises(ValueError) as refused:
            url_of([entry])
        assert "hidden" not in str(refused.value)
