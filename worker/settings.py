"""What an operator can set about a worker. Names, units and defaults; the command line fills it in."""

from __future__ import annotations

from dataclasses import dataclass, field

from channel_layer.settings import RedisSettings


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """One worker: one application, run for many connections."""

    redis: RedisSettings = field(default_factory=RedisSettings)

    app: str = ""  #: module:attribute; the attribute defaults to `application`, then `app`
    app_dir: str = "."
    factory: bool = False  #: the attribute is called without arguments and returns the application
    loop: str = "auto"  #: auto (uvloop), uvloop, asyncio
    interface: str = "auto"  #: auto, asgi3, asgi2, wsgi
    lifespan: str = "auto"  #: auto, on, off
    lifespan_timeout_s: float = 60.0  #: startup and shutdown, each: startup beyond it is a failure, shutdown is cut

    concurrency: int = 1_000  #: exchanges that its application works at; sync-only applications: `threads`
    streams: int = 20_000  #: exchanges besides that wait for their client: see asgi/capacity.py
    websockets: int = 20_000  #: WebSockets at once
    sticky: str = "off"  #: any other value: this worker reads a channel of its own, for clients that are tied to it
    resume_websockets: bool = False  #: every accept asks for hand-off; else only those that say `resumable`
    threads: int = 8  #: kept threads for sync code

    requests_max: int = 0  #: connections (exchanges and WebSockets) until a successor is asked for; 0: any number
    requests_jitter: int = 0  #: up to so many more, drawn once by each worker
    age_s_max: float = 0.0  #: the same for its age; drawn from the last tenth before it; 0: any
    rss_bytes_max: int = 0  #: the same for its memory, where the system tells (Linux); 0: any

    stuck_s_max: float = 120.0  #: an event loop that does not turn for so long ends its process; 0: any time

    log_level: str = "info"
    log_config: str | None = None
    graceful_timeout_s: float = 30.0  #: from SIGTERM until the process leaves
