"""The address of Redis, parsed from one URL.

`redis://[[user]:password@]host[:port][/db]`, `unix:///path/to/socket[?db=N]`, and for Sentinel
`redis+sentinel://[[user]:password@]host[:port][,host[:port]…]/service[/db]`. `rediss://` and `rediss+sentinel://` mean the same
by TLS; tls.py lists their parameters. Apart from the commas these are URLs by RFC 3986: an IPv6 address stands in brackets.
A part without a meaning here is an error, since the operator may have meant something by it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from typing import Any
from urllib.parse import parse_qs, unquote

from channel_layer.redis.tls import Tls

SENTINEL_SCHEMES = ("redis+sentinel://", "rediss+sentinel://")
SENTINEL_PORT = 26379
SCHEMES = ("redis://", "rediss://", "unix://", *SENTINEL_SCHEMES)
#: Before the first `/`, `?` or `#`: user and host, `[v6]`, `host`, or `host:port`.
_WHOLE_AUTHORITY = re.compile(r".*@.*|\[.*|[^:]*|[^:]+:\d+")
#: Scheme, authority, path, query, fragment: RFC 3986, appendix B. (urllib parses the authority, and accepts one host in it.)
_URL = re.compile(r"([^:/?#]+)://([^/?#]*)([^?#]*)(?:\?([^#]*))?(?:#(.*))?", re.DOTALL)
_HOST_AND_PORT = re.compile(r"(?:\[([0-9A-Fa-f:.]+(?:%25[^\]]+)?)\]|([^\[\]:\s]*))(?::(\d{0,5}))?")
_NUMBER = re.compile(r"[0-9]{0,9}")
_DB = re.compile(rf"/?|/{_NUMBER.pattern}")
DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 6379
PORT_MAX = 65_535
_TLS = tuple(each.name for each in fields(Tls))
_CHECK_HOSTNAME = "ssl_check_hostname"
#: The values of a parameter that mean no, as redis-py has them. Every other one means yes.
FALSE = ("0", "F", "FALSE", "N", "NO")


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user's name and password. Without a name: the default user."""

    username: str | None
    password: str = field(repr=False)

    @classmethod
    def of(cls, username: str | None, password: str | None) -> Credentials | None:
        """The credentials, or None without a password."""
        return cls(username or None, password) if password else None

    @property
    def command(self) -> tuple[str, ...]:
        """The command that authenticates."""
        return ("AUTH", self.username, self.password) if self.username else ("AUTH", self.password)


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisAddress:
    """One server, or the Sentinels that know it. Made by `parse`."""

    url: str = field(repr=False)
    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    path: str | None = None
    db: int = 0
    credentials: Credentials | None = None
    tls: Tls | None = None
    sentinels: tuple[tuple[str, int], ...] = ()
    service: str = ""
    sentinel_credentials: Credentials | None = None  #: for a Sentinel that requires authentication
    from_file: bool = field(
        default=False, compare=False
    )  #: the next attempt may have other credentials: address_file.py

    @classmethod
    def parse(cls, url: str) -> RedisAddress:
        """The address in `url`. Raises ValueError with one sentence, which does not contain the password."""
        scheme, separator, rest = url.partition("://")
        url = scheme.lower() + separator + rest
        if not url.startswith(SCHEMES):
            raise ValueError(f"{shown(url)!r} is not a Redis URL: it begins with none of {', '.join(SCHEMES)}")
        try:
            _check_password(url)
            if "#" in url:
                raise ValueError("a fragment means nothing here; a `#` that is part of something is %23")
            return cls._of_sentinels(url) if url.startswith(SENTINEL_SCHEMES) else cls._of_server(url)
        except ValueError as error:
            raise ValueError(f"{shown(url)!r} is not a Redis URL: {error}") from error

    @classmethod
    def _of_server(cls, url: str) -> RedisAddress:
        scheme, authority, path, query = _split(url)
        user, _, place = authority.rpartition("@")
        parameters = _parameters(query)
        is_socket = scheme == "unix"
        if is_socket and not path:
            raise ValueError("unix:///path/to/socket would be one")
        if not is_socket and not _DB.fullmatch(path):
            raise ValueError(f"{path!r} is no number of a database")
        host, port = (DEFAULT_HOST, DEFAULT_PORT) if is_socket else _host_and_port(place, DEFAULT_PORT, DEFAULT_HOST)
        return cls(
            url=url,
            host=host,
            port=port,
            path=unquote(path) if is_socket else None,
            db=_db(parameters.pop("db", "" if is_socket else path.removeprefix("/"))),
            credentials=_credentials(user, parameters),
            tls=_tls(url, parameters),
        )

    @classmethod
    def _of_sentinels(cls, url: str) -> RedisAddress:
        _, authority, path, query = _split(url)
        user, _, hosts = authority.rpartition("@")
        service, slash, db = path.removeprefix("/").partition("/")
        if not service or not hosts or not _DB.fullmatch(slash + db):
            raise ValueError("redis+sentinel://host[:port][,…]/service[/db] would be one")
        parameters = _parameters(query)
        own = Credentials.of(parameters.pop("sentinel_username", None), parameters.pop("sentinel_password", None))
        credentials = _credentials(user, {})
        return cls(
            url=url,
            db=_db(db),
            credentials=credentials,
            tls=_tls(url, parameters),
            sentinels=tuple(_host_and_port(each.strip(), SENTINEL_PORT) for each in hosts.split(",")),
            service=unquote(service),
            sentinel_credentials=own or credentials,
        )

    def current(self) -> RedisAddress:
        """This address: see `AddressSource`."""
        return self

    @property
    def shown(self) -> str:
        """The URL without its passwords, for people."""
        return shown(self.url)


def shown(url: str) -> str:
    """`url` without its passwords. Works also for a URL that cannot be parsed: the password then ends at the last `@`."""
    return re.sub(r"(//[^/?:@]*):.*@", r"\1:***@", re.sub(r"(password=)[^&]*", r"\1***", url))


def _check_password(url: str) -> None:
    """Raise ValueError for a password that ends too early. Its first half would be taken for a port, and shown in an error."""
    place, _, rest = re.split(r"([/?#]|$)", url.partition("://")[2], maxsplit=1)
    if "@" in rest and not _WHOLE_AUTHORITY.fullmatch(place):
        raise ValueError("what is special in a password is percent-encoded: `/` is %2F, `?` is %3F, `#` is %23")


def _split(url: str) -> tuple[str, str, str, str]:
    """Scheme, authority, path and query of `url`."""
    found = _URL.fullmatch(url)
    if found is None:
        raise ValueError("it is not one by RFC 3986")
    scheme, authority, path, query, _ = found.groups("")
    return scheme, authority, path, query


def _host_and_port(place: str, default_port: int, default_host: str = "") -> tuple[str, int]:
    """Host and port of one server."""
    found = _HOST_AND_PORT.fullmatch(place)
    host = unquote(found[1] or found[2]) or default_host if found is not None else ""
    port = int(found[3] or default_port) if found is not None else 0
    if not host or not 0 < port <= PORT_MAX:
        raise ValueError(f"{place!r} is no host[:port]")
    return host, port


def _db(number: str) -> int:
    if not _NUMBER.fullmatch(number):
        raise ValueError(f"{number!r} is no number of a database")
    return int(number or 0)


def _parameters(query: str) -> dict[str, str]:
    """The parameters of a URL. Of one that is given twice the first counts; one without a value counts as not given."""
    return {name: values[0] for name, values in parse_qs(query).items()}


def _credentials(user: str, parameters: dict[str, str]) -> Credentials | None:
    """User and password: those in front of the host, or else those among the parameters."""
    name, _, password = map(unquote, user.partition(":"))
    others = parameters.pop("username", None), parameters.pop("password", None)
    return Credentials.of(name or others[0], password or others[1])


def _tls(url: str, parameters: dict[str, str]) -> Tls | None:
    """TLS by the parameters of the URL that are left. Raises ValueError if there are others."""
    known = _TLS if url.startswith("rediss") else ()
    if unknown := [name for name in parameters if name not in known]:
        raise ValueError(f"{', '.join(unknown)}: no parameter of it")
    if not known:
        return None
    values: dict[str, Any] = dict(parameters)
    if (checked := parameters.get(_CHECK_HOSTNAME)) is not None:
        values[_CHECK_HOSTNAME] = checked.upper() not in FALSE
    return Tls(**values)
