"""Where Redis is: one URL, understood once.

`redis://[[user]:password@]host[:port][/db]`, `unix:///path/to/socket[?db=N]`, and for Sentinel
`redis+sentinel://[[user]:password@]host[:port][,host[:port]…]/service[/db]`. `rediss://` and `rediss+sentinel://` are the same by
TLS; their parameters are those of redis_tls.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from typing import Any
from urllib.parse import unquote, urlsplit

from redis.connection import parse_url

from channel_layer.redis_tls import Tls

SENTINEL_SCHEMES = ("redis+sentinel://", "rediss+sentinel://")
SENTINEL_PORT = 26379
SCHEMES = ("redis://", "rediss://", "unix://", *SENTINEL_SCHEMES)
#: In front of the first `/`, `?` or `#`: somebody at a place, `[v6]`, `host`, or `host:port`.
_WHOLE_PLACE = re.compile(r".*@.*|\[.*|[^:]*|[^:]+:\d+")
_PLACE = ("host", "port", "path", "db", "username", "password", "connection_class")
_TLS = tuple(each.name for each in fields(Tls))


@dataclass(frozen=True, slots=True)
class Credentials:
    """By which one is let in. Without a username: as the default user."""

    username: str | None
    password: str = field(repr=False)

    @classmethod
    def of(cls, username: str | None, password: str | None) -> Credentials | None:
        """None without a password."""
        return cls(username or None, password) if password else None

    @property
    def command(self) -> tuple[str, ...]:
        """To say them."""
        return ("AUTH", self.username, self.password) if self.username else ("AUTH", self.password)


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """One server, or the Sentinels that know it. Made by `parse`."""

    url: str = field(repr=False)
    host: str = "127.0.0.1"
    port: int = 6379
    path: str | None = None
    db: int = 0
    credentials: Credentials | None = None
    tls: Tls | None = None
    sentinels: tuple[tuple[str, int], ...] = ()
    service: str = ""
    sentinel_credentials: Credentials | None = None  #: for a Sentinel that asks for some

    @classmethod
    def parse(cls, url: str) -> RedisAddress:
        """The address in `url`; ValueError with one sentence for a URL that is none. It does not tell the password."""
        if not url.startswith(SCHEMES):
            raise ValueError(f"{shown(url)!r} is not a Redis URL: it begins with none of {', '.join(SCHEMES)}")
        try:
            _check_password(url)
            return cls._of_sentinels(url) if url.startswith(SENTINEL_SCHEMES) else cls._of_server(url)
        except ValueError as error:
            raise ValueError(f"{shown(url)!r} is not a Redis URL: {error}") from error

    @classmethod
    def _of_server(cls, url: str) -> RedisAddress:
        parts: dict[str, Any] = dict(parse_url(url))
        return cls(
            url=url,
            host=parts.get("host", "127.0.0.1"),
            port=parts.get("port", 6379),
            path=parts.get("path"),
            db=int(parts.get("db", 0)),
            credentials=Credentials.of(parts.get("username"), parts.get("password")),
            tls=_tls(url, parts),
        )

    @classmethod
    def _of_sentinels(cls, url: str) -> RedisAddress:
        split = urlsplit(url)
        user, _, hosts = split.netloc.rpartition("@")
        name, _, password = map(unquote, user.partition(":"))
        service, _, db = split.path.strip("/").partition("/")
        if not service or not hosts or not (db or "0").isdigit():
            raise ValueError("redis+sentinel://host[:port][,…]/service[/db] would be one")
        parts: dict[str, Any] = dict(parse_url(f"redis://?{split.query}"))
        own = Credentials.of(parts.pop("sentinel_username", None), parts.pop("sentinel_password", None))
        credentials = Credentials.of(name, password)
        return cls(
            url=url,
            db=int(db or 0),
            credentials=credentials,
            tls=_tls(url, parts),
            sentinels=tuple(_host_and_port(each) for each in hosts.split(",")),
            service=service,
            sentinel_credentials=own or credentials,
        )

    @property
    def shown(self) -> str:
        """The URL for people: without its passwords."""
        return shown(self.url)


def shown(url: str) -> str:
    """Without the passwords that are in it, also when it is no URL that we understand: up to the last `@`."""
    return re.sub(r"(//[^/?:@]*):.*@", r"\1:***@", re.sub(r"(password=)[^&]*", r"\1***", url))


def _check_password(url: str) -> None:
    """ValueError for one that ends too early: its first half would be taken for a port, and told as a wrong one."""
    place, _, rest = re.split(r"([/?#]|$)", url.partition("://")[2], maxsplit=1)
    if "@" in rest and not _WHOLE_PLACE.fullmatch(place):
        raise ValueError("what is special in a password is percent-encoded: `/` is %2F, `?` is %3F, `#` is %23")


def _host_and_port(place: str) -> tuple[str, int]:
    host, _, port = place.partition(":")
    if not (host and (port or "0").isdigit()):
        raise ValueError(f"{place!r} is no host[:port]")
    return host, int(port or SENTINEL_PORT)


def _tls(url: str, parts: dict[str, Any]) -> Tls | None:
    """By the parameters of the URL; ValueError if there are others than these."""
    known = _TLS if url.startswith("rediss") else ()
    if unknown := [name for name in parts if name not in (*_PLACE, *known)]:
        raise ValueError(f"{', '.join(unknown)}: no parameter of it")
    return Tls(**{name: parts[name] for name in known if name in parts}) if known else None
