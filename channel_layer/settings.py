"""Settings for Redis that interface servers and workers have in common."""

from __future__ import annotations

from dataclasses import dataclass, field

MEBIBYTE = 1024 * 1024
PREFIX = "towpath:"  #: the default of all commands and layers


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisSettings:
    """Where Redis is, and what this process may use of it."""

    url: str = "redis://127.0.0.1:6379/0"  #: redis://, rediss:// or unix:// URL; redis+sentinel://host:port,…/service for Sentinel
    redis_wait_s: float = 30.0  #: how long a starting process waits for a Redis that is not there yet
    prefix: str = PREFIX  #: stands before every key; keeps two deployments on one Redis apart
    #: Everything that crosses Redis is encrypted with the first of these, and decrypted with all; empty: nothing is encrypted.
    encryption_keys: tuple[str, ...] = field(default=(), repr=False)
    encryption_key_file: str = ""  #: a file with one key per line instead; read again when it changes
    buffer_budget_bytes: int = 256 * MEBIBYTE  #: the sum of all windows of this process
    window_size_bytes_min: int = 1024  #: the window of a connection when all of that is granted
    queue_wait_s: float = 30.0  #: how long a connection waits for a worker: then 503
    resume_wait_s: float = 600.0  #: how long an open WebSocket waits for its next worker: then close 1012
    #: module:attribute of the application that this process serves, as far as it knows; stands in its lease.
    app: str = ""
    allow_mixed_apps: bool = False  #: this worker may start beside workers of another application, and they beside it
    request_capacity: int = 10_000  #: connections waiting in each of the two shared request channels
    queue_size_bytes_max: int = 64 * MEBIBYTE  #: bytes waiting in one shared channel
    #: <fleet>/<number>: a worker leaves new WebSockets to higher numbers of its fleet. Empty: to none.
    generation: str = ""
    admin_host: str = "127.0.0.1"
    traces: bool = False  #: spans of OpenTelemetry; imported only then
    admin_port: int = 0  #: of this process, for metrics and health; 0: none
    lease_ttl_s: float = 5.0  #: a process that has not renewed its lease for so long may be declared dead
