"""The URL of Redis for the option `hosts` of channels_redis.

`hosts` is a list with one entry: a URL, a pair (host, port), a dict of redis-py's keywords with or without an `address`, or a dict
with `sentinels` and `master_name`. Parts of a URL count more than the same keyword beside it, as in redis-py.

Keywords that tune redis-py's own connections are accepted and have no effect. Any other keyword without a meaning here is an error,
since its author meant something by it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

DEFAULT_HOST, DEFAULT_PORT, SENTINEL_PORT = "localhost", 6379, 26379
#: Keywords of redis-py's connections and pools. Towpath's connections have timeouts, probes and retries of their own.
WITHOUT_EFFECT = frozenset(
    {
        *(
            "socket_timeout",
            "socket_connect_timeout",
            "socket_keepalive",
            "socket_keepalive_options",
            "socket_read_size",
        ),
        *("socket_type", "health_check_interval", "check_connection", "retry", "retry_on_timeout", "retry_on_error"),
        *("max_connections", "timeout", "client_name", "lib_name", "lib_version", "protocol"),
        *("encoding", "encoding_errors", "decode_responses"),
    }
)
_LOCATION = frozenset(("host", "port", "path", "db", "username", "password"))
_TLS = frozenset(("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs", "ssl_check_hostname"))
_SENTINEL = frozenset(("sentinels", "master_name", "sentinel_kwargs"))
_KNOWN = _LOCATION | _TLS | _SENTINEL | WITHOUT_EFFECT | {"address", "ssl", "unix_socket_path"}
#: Values of ssl_cert_reqs, among them the numbers of ssl.CERT_NONE and ssl.CERT_REQUIRED.
_CERT_REQS = {None: "none", "none": "none", 0: "none", "required": "required", 2: "required"}


def url_of(hosts: object) -> tuple[str | None, frozenset[str]]:
    """The URL of the one entry of `hosts`, None without one, and the keywords that have no effect.

    Raises ValueError with one sentence, which does not contain the password.
    """
    if hosts is None:
        return None, frozenset()
    if isinstance(hosts, str | bytes | Mapping) or not isinstance(hosts, Sequence):
        raise ValueError('hosts is a list, also with a single server: "hosts": ["redis://localhost:6379"]')
    if len(hosts) > 1:
        raise ValueError(
            f"hosts names {len(hosts)} servers, and Towpath does not distribute channels over several (sharding): "
            "name one, or the Sentinels of one"
        )
    if not hosts:
        return None, frozenset()
    keywords = _keywords(hosts[0])
    url = _sentinel_url(keywords) if keywords.keys() & {"sentinels", "master_name"} else _server_url(keywords)
    return url, WITHOUT_EFFECT & keywords.keys()


def _keywords(entry: object) -> dict[str, Any]:
    """One entry as redis-py's keywords, with the parts of its `address` among them."""
    if isinstance(entry, Mapping):
        given = dict(entry)
    elif isinstance(entry, tuple | list) and len(entry) == 2:
        given = {"host": entry[0], "port": entry[1]}
    elif isinstance(entry, str):
        given = {"address": entry}
    else:
        raise ValueError('an entry of hosts is a URL, a pair (host, port), or a dict with "address" or "sentinels"')
    if unknown := sorted(map(str, given.keys() - _KNOWN)):
        raise ValueError(
            f"{', '.join(unknown)}: no keyword of hosts that Towpath knows; docs/from-channels-redis.md lists those that it takes"
        )
    address = given.pop("address", None)
    return given if address is None else {**given, **_parts(address)}


def _parts(address: object) -> dict[str, Any]:
    """The parts of a URL as keywords. A URL of Towpath's own kinds, for Sentinels and for a file, stays whole, as `url`."""
    if not isinstance(address, str) or "://" not in address:
        raise ValueError("an address is a URL: redis://, rediss:// or unix://")
    scheme = address.partition("://")[0].lower()
    if scheme == "file" or scheme.endswith("+sentinel"):
        return {"url": address}
    url = urlsplit(address)
    parts: dict[str, Any] = dict(parse_qsl(url.query))
    if unknown := sorted(parts.keys() - _KNOWN):
        raise ValueError(f"{', '.join(unknown)}: no parameter of a Redis URL that Towpath knows")
    user, _, place = url.netloc.rpartition("@")
    username, _, password = user.partition(":")
    parts |= {"scheme": url.scheme} | {
        name: unquote(value) for name, value in (("username", username), ("password", password)) if value
    }
    if url.scheme == "unix":
        return {**parts, "path": unquote(url.path)}
    return parts | ({"place": place} if place else {}) | ({"database": url.path} if url.path.strip("/") else {})


def _server_url(keywords: Mapping[str, Any]) -> str:
    """The URL of one server."""
    if "url" in keywords:
        if beside := sorted(keywords.keys() - WITHOUT_EFFECT - {"url"}):
            raise ValueError(f"{', '.join(beside)}: write it into the URL")
        return str(keywords["url"])
    path = keywords.get("path") or keywords.get("unix_socket_path")
    if path:
        database = {"db": keywords["db"]} if keywords.get("db") else {}
        return f"unix://{_user(keywords)}{quote(str(path))}{_query(database)}"
    place = keywords.get("place") or _place(keywords.get("host", DEFAULT_HOST), keywords.get("port", DEFAULT_PORT))
    number = str(keywords.get("database") or f"/{keywords.get('db') or 0}")
    return f"{_scheme(keywords)}://{_user(keywords)}{place}{number}{_query(_tls(keywords))}"


def _sentinel_url(keywords: Mapping[str, Any]) -> str:
    """The URL of one service behind Sentinels."""
    sentinels, service = keywords.get("sentinels"), keywords.get("master_name")
    if isinstance(service, bytes):
        service = service.decode()
    if not sentinels or not isinstance(service, str) or not service:
        raise ValueError('a host behind Sentinels has "sentinels", a list of pairs (host, port), and "master_name"')
    if unfit := sorted(keywords.keys() & {"host", "port", "path", "unix_socket_path", "place", "url"}):
        raise ValueError(f"{', '.join(unfit)}: the Sentinels name the server, so it cannot be given beside them")
    own = _sentinel_keywords(keywords)
    credentials = {f"sentinel_{name}": own[name] for name in ("username", "password") if own.get(name)}
    places = ",".join(_place(*_pair(each)) for each in sentinels)
    where = f"{quote(service, safe='')}/{keywords.get('db') or 0}"
    return (
        f"{_scheme(keywords)}+sentinel://{_user(keywords)}{places}/{where}{_query({**credentials, **_tls(keywords)})}"
    )


def _sentinel_keywords(keywords: Mapping[str, Any]) -> Mapping[str, Any]:
    """`sentinel_kwargs`: credentials of the Sentinels, and TLS as the servers have it."""
    own = keywords.get("sentinel_kwargs") or {}
    if unknown := sorted(map(str, own.keys() - WITHOUT_EFFECT - _TLS - {"username", "password", "ssl"})):
        raise ValueError(f"{', '.join(unknown)}: no keyword of sentinel_kwargs that Towpath knows")
    if bool(own.get("ssl")) != bool(keywords.get("ssl")) or (own.get("ssl") and _tls(own) != _tls(keywords)):
        raise ValueError("ssl: Sentinels and servers are both reached by TLS with the same parameters, or neither is")
    return own


def _pair(sentinel: object) -> tuple[Any, Any]:
    if isinstance(sentinel, tuple | list) and len(sentinel) == 2:
        return sentinel[0], sentinel[1]
    raise ValueError("a Sentinel is a pair (host, port)")


def _scheme(keywords: Mapping[str, Any]) -> str:
    """The scheme by the keyword `ssl`, unless an address has one."""
    return str(keywords.get("scheme") or ("rediss" if keywords.get("ssl") else "redis"))


def _place(host: object, port: object) -> str:
    """Host and port as they stand in a URL."""
    return f"[{host}]:{port}" if ":" in str(host) else f"{quote(str(host))}:{port}"


def _user(keywords: Mapping[str, Any]) -> str:
    """User and password as they stand in a URL."""
    username, password = (quote(str(keywords.get(name) or ""), safe="") for name in ("username", "password"))
    return f"{username}:{password}@" if password else ""


def _tls(keywords: Mapping[str, Any]) -> dict[str, str]:
    """The parameters of TLS. Raises ValueError for one that has no meaning without TLS, or a value that does not exist."""
    given = {name: keywords[name] for name in sorted(_TLS & keywords.keys())}
    if "ssl_cert_reqs" in given:
        if given["ssl_cert_reqs"] not in _CERT_REQS:
            raise ValueError("ssl_cert_reqs is None, 'none' or 'required'")
        given["ssl_cert_reqs"] = _CERT_REQS[given["ssl_cert_reqs"]]
    if given and _scheme(keywords) != "rediss" and not keywords.get("ssl"):
        raise ValueError(f"{', '.join(given)}: without TLS; begin the address with rediss://, or add ssl=True")
    return {name: str(value) for name, value in given.items() if value is not None}


def _query(parameters: Mapping[str, Any]) -> str:
    return f"?{urlencode(parameters)}" if parameters else ""
