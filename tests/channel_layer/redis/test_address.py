"""URLs of Redis: each form that is understood, and the one sentence for each that is none."""

from __future__ import annotations

import re

import pytest
from redis.connection import SSLConnection, parse_url

from channel_layer.redis.address import Credentials, RedisAddress
from channel_layer.redis.tls import Tls


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://10.0.0.1:7000/3", {"host": "10.0.0.1", "port": 7000, "db": 3}),
        ("redis://user:secret@host", {"host": "host", "credentials": Credentials("user", "secret")}),
        ("redis://:secret%40a@host", {"credentials": Credentials(None, "secret@a")}),
        ("redis://a:1?password=secret@b", {"host": "a", "port": 1, "credentials": Credentials(None, "secret@b")}),
        ("redis://[::1]:7/0?password=secret@", {"host": "::1", "port": 7}),
        ("redis://", {"host": "127.0.0.1", "port": 6379, "db": 0, "credentials": None}),
        ("redis://:6380/", {"host": "127.0.0.1", "port": 6380, "db": 0}),
        ("redis://h/3?db=4&db=5&username=", {"db": 4, "credentials": None}),
        ("redis://me@h?username=other&password=a+secret", {"credentials": Credentials("me", "a secret")}),
        ("rediss://host", {"tls": Tls()}),
        ("rediss://host?ssl_cert_reqs=none&ssl_ca_certs=/a", {"tls": Tls(ssl_cert_reqs="none", ssl_ca_certs="/a")}),
        ("unix://user@/run/redis.sock?password=secret", {"credentials": Credentials("user", "secret")}),
        ("unix:///run/redis.sock?db=2", {"path": "/run/redis.sock", "db": 2}),
        (
            "redis+sentinel://:secret@a:1,b/mymaster/4",
            {
                "sentinels": (("a", 1), ("b", 26379)),
                "service": "mymaster",
                "db": 4,
                "tls": None,
                "credentials": Credentials(None, "secret"),
                "sentinel_credentials": Credentials(None, "secret"),
            },
        ),
        ("redis+sentinel://[::1]:7,[fe80::1%25eth0]/m", {"sentinels": (("::1", 7), ("fe80::1%eth0", 26379))}),
        ("redis+sentinel://:secret@a:1, b:2 ,\tc/m", {"sentinels": (("a", 1), ("b", 2), ("c", 26379))}),
        (
            "redis+sentinel://a:,b/my%20service/",
            {"sentinels": (("a", 26379), ("b", 26379)), "service": "my service", "db": 0},
        ),
        ("REDIS://[fe80::1]/", {"host": "fe80::1", "port": 6379, "db": 0}),
        (
            "rediss+sentinel://me:secret%2F1@a/mymaster?sentinel_password=secret%2B2&ssl_check_hostname=false",
            {
                "sentinels": (("a", 26379),),
                "db": 0,
                "tls": Tls(ssl_check_hostname=False),
                "credentials": Credentials("me", "secret/1"),
                "sentinel_credentials": Credentials(None, "secret+2"),
            },
        ),
    ],
)
def test_a_url_is_understood_once(url: str, expected: dict[str, object]) -> None:
    """All forms that redis-py knows, and Sentinel's."""
    address = RedisAddress.parse(url)
    assert {name: getattr(address, name) for name in expected} == expected
    assert "secret" not in address.shown + repr(address)


@pytest.mark.parametrize(
    "url",
    [
        "redis://",
        "redis://10.0.0.1:7000/3",
        "redis://user:p%40ss%2Fw%3Aord@my_redis.example:1/",
        "redis://user:a:b@h",
        "redis://a%20user:@h?password=p%2520q",
        "redis://h?db=7&password=one&password=two",
        "redis://h/3?db=4",
        "redis://[2001:db8::1]:6380/2",
        "redis://:pass@:6380",
        "rediss://me:secret@h/1?ssl_cert_reqs=none&ssl_check_hostname=No&ssl_certfile=%2Fa%20b",
        "rediss://h?ssl_check_hostname=yes&ssl_keyfile=/k&ssl_ca_certs=",
        "unix:///run/a%20socket?db=2",
        "unix://me:secret@/run/redis.sock",
        "unix:///run/redis.sock?password=secret&username=me&db=",
    ],
)
def test_a_url_means_what_it_means_to_redis_py(url: str) -> None:
    """So that one URL serves an application and us."""
    theirs = {"host": "127.0.0.1", "port": 6379, "path": None, "db": 0, **parse_url(url)}
    tls = theirs.pop("connection_class", None) is SSLConnection
    credentials = Credentials.of(theirs.pop("username", None), theirs.pop("password", None))
    ours = RedisAddress.parse(url)
    place = {name: theirs.pop(name) for name in ("host", "port", "path", "db")}
    assert {name: getattr(ours, name) for name in place} == place
    assert ours.credentials == credentials
    assert ours.tls == (Tls(**theirs) if tls else None)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://me:secret@x", "begins with none of"),
        ("host:6379", "begins with none of"),
        ("redis://:secret@a:port", "'a:port' is no host"),
        ("redis://:secret/secret@a:1/0", "percent-encoded"),
        ("redis://me:secret?secret@a", "percent-encoded"),
        ("redis+sentinel://:secret#secret@a/m", "percent-encoded"),
        ("redis://:12/secret@a", "percent-encoded"),
        ("redis://:secret@a:port?password=secret@secret", "no host"),
        ("redis+sentinel://:secret@a", "/service"),
        ("redis+sentinel://a/m/x", "/service"),
        ("redis+sentinel://:secret@a:x/m", "no host"),
        ("redis+sentinel://a,,b/m", "no host"),
        ("redis+sentinel://::1/m", "no host"),
        ("redis+sentinel://[::1/m", "no host"),
        ("redis+sentinel://a:0,b:65536/m", "no host"),
        ("redis+sentinel://a b/m", "no host"),
        ("redis+sentinel://a/m/1/2", "/service"),
        ("redis://h/zero", "'/zero' is no number of a database"),
        ("redis://h/1/2", "no number of a database"),
        ("redis://h/-1", "no number of a database"),
        ("redis://h/0 ", "no number of a database"),
        ("redis://h?db=-1", "no number of a database"),
        ("redis://h/0#1", "a fragment"),
        ("redis://h?db=one", "'one' is no number of a database"),
        ("redis://h:65536", "no host"),
        ("redis://h:0", "no host"),
        ("redis://::1", "no host"),
        ("unix://", "unix:///path"),
        ("redis://h?host=other", "host: no parameter"),
        ("redis+sentinel://a/m?db=3", "db: no parameter"),
        ("redis://:secret@a?ssl_ca_certs=/a", "ssl_ca_certs: no parameter of it"),
        ("rediss://a?password=secret&ssl_cert_reqs=perhaps", "required, none"),
        ("redis+sentinel://a/m?sentinel_password=secret&socket_timeout=3", "socket_timeout: no parameter"),
    ],
)
def test_a_url_that_is_none_is_told_in_one_sentence(url: str, why: str) -> None:
    """P12. It does not tell the password."""
    with pytest.raises(ValueError, match="is not a Redis URL: ") as told:
        RedisAddress.parse(url)
    assert re.search(why, str(told.value)) and "secret" not in str(told.value)
