"""Where Redis is: one URL, understood once.

`redis://[[user]:password@]host[:port][/db]`, `rediss://…` (TLS), `unix:///path/to/socket[?db=N]`, and for Sentinel
`redis+sentinel://host[:port][,host[:port]…]/service[/db]`.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from redis import Redis
from redis.backoff import NoBackoff
from redis.connection import SSLConnection, parse_url
from redis.retry import Retry

from channel_layer.redis_sentinel import BlockingSentinels

SENTINEL_SCHEME = "redis+sentinel://"
SENTINEL_PORT = 26379
SCHEMES = ("redis://", "rediss://", "unix://", SENTINEL_SCHEME)


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """One server, or the Sentinels that know it. Made by `parse`."""

    url: str
    host: str = "127.0.0.1"
    port: int = 6379
    path: str | None = None
    db: int = 0
    username: str | None = None
    password: str | None = None
    tls: bool = False
    sentinels: tuple[tuple[str, int], ...] = ()
    service: str = ""

    @classmethod
    def parse(cls, url: str) -> RedisAddress:
        """The address in `url`; ValueError with one sentence for a URL that is none."""
        if url.startswith(SENTINEL_SCHEME):
            return cls._parse_sentinel(url)
        if not url.startswith(SCHEMES):
            raise ValueError(f"{url!r} is not a Redis URL: it begins with none of {', '.join(SCHEMES)}")
        try:
            parts: dict[str, Any] = dict(parse_url(url))
        except ValueError as error:
            raise ValueError(f"{url!r} is not a Redis URL: {error}") from error
        return cls(
            url=url,
            host=parts.get("host", "127.0.0.1"),
            port=parts.get("port", 6379),
            path=parts.get("path"),
            db=int(parts.get("db", 0)),
            username=parts.get("username"),
            password=parts.get("password"),
            tls=parts.get("connection_class") is SSLConnection,
        )

    @classmethod
    def _parse_sentinel(cls, url: str) -> RedisAddress:
        split = urlsplit(url)
        user, _, hosts = split.netloc.rpartition("@")
        name, _, password = user.partition(":")
        service, _, db = split.path.strip("/").partition("/")
        if not service or not hosts or not (db or "0").isdigit():
            raise ValueError(f"{url!r} is not a Sentinel URL: redis+sentinel://host[:port][,…]/service[/db]")
        sentinels = []
        for entry in hosts.split(","):
            host, _, port = entry.partition(":")
            sentinels.append((host, int(port or SENTINEL_PORT)))
        return cls(
            url=url,
            db=int(db or 0),
            username=unquote(name) or None,
            password=unquote(password) or None,
            sentinels=tuple(sentinels),
            service=service,
        )

    @property
    def shown(self) -> str:
        """The URL for people: without its password."""
        return self.url.replace(f":{self.password}@", ":***@") if self.password else self.url

    def tls_context(self) -> ssl.SSLContext | None:
        """The TLS settings for `rediss://`: the system's certificates; None without TLS."""
        return ssl.create_default_context() if self.tls else None

    def blocking_client(self, timeout_s: float) -> Redis:
        """A client for threads and for the command line. Its own retries are off: an unknown outcome stays unknown."""
        options: dict[str, Any] = {
            "socket_timeout": timeout_s,
            "socket_connect_timeout": timeout_s,
            "retry": Retry(NoBackoff(), 0),
            "db": self.db,
            "username": self.username,
            "password": self.password,
        }
        if self.sentinels:
            sentinels: Any = BlockingSentinels(self.sentinels)  # redis-py has no types here
            primary: Redis = sentinels.master_for(self.service, **options)
            return primary
        if self.path:
            return Redis(unix_socket_path=self.path, **options)
        return Redis(host=self.host, port=self.port, ssl=self.tls, **options)
