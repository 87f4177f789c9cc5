"""The settings of a worker, with units and defaults. The command line fills them in."""

from __future__ import annotations

from dataclasses import dataclass, field

from channel_layer.application.capacities import CAPACITY, EXPIRY_S, LayerSettings
from channel_layer.settings import RedisSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """The settings of one worker."""

    redis: RedisSettings = field(default_factory=RedisSettings)

    app: str = ""  #: module:attribute; the attribute defaults to `application`, then `app`
    app_dir: str = "."
    factory: bool = False  #: the attribute is called without arguments and returns the application
    loop: str = "auto"  #: auto (uvloop), uvloop, asyncio
    interface: str = "auto"  #: auto, asgi3, asgi2, wsgi
    lifespan: str = "auto"  #: auto, on, off
    #: For startup and shutdown each: a longer startup is a failure, a longer shutdown is cancelled.
    lifespan_timeout_s: float = 60.0

    #: Exchanges at which the application works at a time; WSGI applications: at most `threads`.
    concurrency: int = 1_000
    streams: int = 20_000  #: further exchanges, which wait for their client: asgi/capacity.py
    websockets: int = 20_000  #: WebSockets at a time
    sticky: str = "off"  #: any other value: this worker also reads channels of its own, for clients that are tied to it
    direct_dispatch: bool = (
        True  #: interface servers may send requests without the shared channel, as long as places are free
    )
    resume_websockets: bool = False  #: every accept asks for hand-off; else only those with `resumable`
    rebalance_per_s: int = 50  #: WebSockets that are handed over per second to level the fleet; 0: on request
    channel_capacity: int = CAPACITY  #: of channels to which the application sends
    channel_expiry_s: float = EXPIRY_S  #: of its messages
    #: Shared channels of the application, or patterns of their names. With any, this worker receives their messages and takes no
    #: connections.
    channels: tuple[str, ...] = ()
    channel_concurrency: int = 1  #: messages of each channel that are processed at once; 1: in order
    #: at-most-once, at-least-once: then a message is in Redis until the application has finished it.
    channel_delivery: str = "at-most-once"
    #: at-least-once: after so long without a sign of its process a message is received by another.
    channel_visibility_timeout_s: float = 30.0
    channel_retries: int = 0  #: how many more times a message is received at which the application has raised
    channel_dead_letter: str = (
        ""  #: the shared channel for messages that failed for the last time; empty: they are dropped
    )
    threads: int = 8  #: sync threads: a fixed pool for sync code

    requests_max: int = 0  #: connections (exchanges and WebSockets) until the worker is recycled; 0: no limit
    requests_jitter: int = 0  #: up to so many more, drawn at random by each worker
    age_s_max: float = 0.0  #: the age until it is recycled, drawn from the last tenth before it; 0: no limit
    rss_bytes_max: int = 0  #: the memory until it is recycled (Linux only); 0: no limit

    stuck_s_max: float = 120.0  #: an event loop that is blocked for so long ends its process; 0: no limit

    log_level: str = "info"
    log_format: str = "text"  #: or json
    log_config: str | None = None
    graceful_timeout_s: float = 30.0  #: from SIGTERM until the process exits

    @property
    def logs_connections(self) -> bool:
        """True if log records have the name of the connection that the application serves."""
        return self.log_format == "json" or self.log_config is not None

    @property
    def layer(self) -> LayerSettings:
        """The settings of the application's channel layer."""
        return LayerSettings(capacity=self.channel_capacity, expiry_s=self.channel_expiry_s)
