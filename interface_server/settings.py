"""Settings of an interface server: names, units and defaults. The command line fills them in."""

from __future__ import annotations

from dataclasses import dataclass, field

from channel_layer.settings import MEBIBYTE, RedisSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class InterfaceSettings:
    """Settings of one interface server. The comment of a limit states the outcome beyond it; each is counted."""

    redis: RedisSettings = field(default_factory=RedisSettings)

    # Where clients come in: the first of fd, uds, host and port that is given.
    host: str = "127.0.0.1"
    port: int = 8000
    uds: str | None = None
    uds_permissions: str = ""  #: octal; empty: those of the socket that was there before, or 0666
    fd: int | None = None
    reuse_port: bool = False
    backlog: int = 2048

    # The outside, as the application sees it.
    root_path: str = ""
    proxy_headers: bool = True
    forwarded_allow_ips: str = "127.0.0.1,::1"  #: comma-separated addresses, networks, `unix` or `*`

    # Additions of the server's own.
    server_header: bool = True  #: `server: towpath`, unless the application sends its own
    date_header: bool = True
    headers: tuple[tuple[str, str], ...] = ()  #: added to every response
    access_log: bool = True
    access_log_format: str | None = None  #: gunicorn's atoms; None: our own form
    log_level: str = "info"
    log_format: str = "text"  #: or json
    log_config: str | None = None
    health_path: str = "/-/health"  #: with /live and /ready behind it; empty: off

    # Limits of HTTP.
    head_size_bytes_max: int = 65_536  #: 431
    target_size_bytes_max: int = 8_192  #: 414
    header_fields_max: int = 100  #: 431
    body_size_bytes_max: int = 0  #: 413; 0: unlimited, but windowed
    head_timeout_s: float = 10.0  #: 408
    keep_alive_timeout_s: float = 75.0  #: idle connection: closed
    body_timeout_s: float = 60.0  #: no byte of a body that is awaited, and no response yet: 408; 0: off
    response_timeout_s: float = 0.0  #: no response start after adoption: 504; 0: off
    half_close_timeout_s: float = 5.0  #: client has closed its direction, takes nothing: it has left; 0: at once
    write_timeout_s: float = 60.0  #: a client that takes nothing at all: abort, or close 1013
    redis_outage_timeout_s: float = 30.0  #: Redis away for so long: running exchanges end with 502, or an abort
    limit_concurrency: int = 0  #: connections (exchanges and sockets) under way: above it 503; 0: off

    # Limits of WebSockets.
    ws_size_bytes_max: int = MEBIBYTE  #: message and frame: close 1009
    ws_accept_timeout_s: float = 30.0  #: no accept after adoption: 504
    ws_ping_interval_s: float = 20.0  #: 0: off
    ws_ping_timeout_s: float = 20.0  #: no pong: close 1011
    ws_close_timeout_s: float = 5.0  #: no answer to our close, and nothing left to read: cut off
    ws_per_message_deflate: bool = False
    ws_push_bytes_max: int = 16 * MEBIBYTE  #: of groups and third parties, not taken by one client: close 1013
    ws_push_timeout_s: float = 30.0  #: more than 1 MiB of these waits, and what waited is not taken: close 1013; 0: off

    sticky: str = "off"  #: cookie, address: a client's connections go to the worker that it had before

    drain_delay_s: float = 0.0  #: from SIGTERM, unready already, until no new connection is accepted
    graceful_timeout_s: float = 30.0  #: from SIGTERM until the process leaves
