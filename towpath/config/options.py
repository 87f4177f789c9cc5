"""Every option of every command, once: its name, its meaning, its commands, and the setting that it fills.

Names are uvicorn's where the meaning is the same. Each option is also read from the environment, as `TOWPATH_` and its name,
the same for all commands. `serve` passes its options to the processes that it starts in the same way (option_values.py).
Defaults are defined with the settings, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from channel_layer.settings import MEBIBYTE
from towpath.config.channel_options import CHANNEL_ROWS
from towpath.config.option_files import OptionFiles
from towpath.config.option_row import (
    COUNT,
    FIND_REDIS,
    FIND_SERVE,
    FOR_INTERFACE,
    FOR_WORKER,
    INTERFACE,
    MANY,
    ONLY_SERVE,
    ONLY_WORKER,
    PROCESSES,
    SECONDS,
    TRUE_OR_FALSE,
    Row,
)
from towpath.config.option_types import (
    ACCESS_FORMAT,
    GENERATION,
    HOST,
    PERMISSIONS,
    PROXY_LIST,
    REDIS_URL,
    ApplicationInterface,
    EncryptionKeys,
    Header,
    KeyFilePath,
    MountPath,
    PathOrOff,
    Size,
    UrlFile,
    Whole,
)

COUNT_OR_OFF = Whole(min=0)
PORT = Whole(0, 65535)
LEVELS = click.Choice(("critical", "error", "warning", "info", "debug", "trace"), case_sensitive=False)


FILES = OptionFiles(lambda: ROWS)

ROWS: tuple[Row, ...] = (
    # Files with further settings.
    Row(
        "--config", PROCESSES | FIND_SERVE, "TOML file with settings: keys are names of options. Beneath variables and --env-file.",
        (), click.Path(exists=True, dir_okay=False), more=FILES.config, in_file=False, passed_on=False,
    ),
    Row(
        "--env-file", PROCESSES, "Set environment variables from this file first.", (),
        click.Path(exists=True, dir_okay=False), more=FILES.env_file, passed_on=False,
    ),
    # Listening.
    Row(
        "--host", FOR_INTERFACE, "Address to listen on; `::` is all of this machine, IPv4 and IPv6.",
        ("interface.host",), HOST,
    ),
    Row(
        "--port", FOR_INTERFACE | FIND_SERVE, "Port to listen on; 0: any free one.", ("interface.port",), PORT,
        elsewhere="The `serve` that listens on this port.",
    ),
    Row(
        "--uds", FOR_INTERFACE | FIND_SERVE, "Listen on a unix socket of this path instead.", ("interface.uds",),
        elsewhere="The `serve` that listens on the unix socket of this path.",
    ),
    Row(
        "--uds-permissions", FOR_INTERFACE, "Permissions of the unix socket, in octal; 666, or as it was before, if not given.",
        ("interface.uds_permissions",), PERMISSIONS,
    ),
    Row("--fd", FOR_INTERFACE, "Listen on this inherited descriptor instead.", ("interface.fd",), COUNT_OR_OFF),
    Row(
        "--reuse-port", frozenset({INTERFACE}), "Share the port with other interface servers by SO_REUSEPORT.",
        ("interface.reuse_port",), more={"is_flag": True},
    ),
    Row("--backlog", FOR_INTERFACE, "Connections that may wait to be accepted.", ("interface.backlog",), Whole(1, 65535)),
    # Processes, and the Redis that joins them.
    Row("--interfaces", ONLY_SERVE, "Number of interface servers.", (), Whole(1, 256), more={"default": 1}),
    Row(
        "--workers", ONLY_SERVE, "Number of workers.  [also: WEB_CONCURRENCY]", (), Whole(1, 1024),
        more={"default": 1}, also_env=("WEB_CONCURRENCY",),
    ),
    Row("--interfaces-max", ONLY_SERVE, "How many `scale` may ask for; 4 times --interfaces if not given.", (), Whole(1, 1024)),
    Row("--workers-max", ONLY_SERVE, "How many `scale` may ask for; 4 times --workers if not given.", (), Whole(1, 4096)),
    Row(
        "--redis", PROCESSES | FIND_REDIS, "URL of Redis or Valkey. `serve` starts one of its own without it.",
        ("redis.url",), REDIS_URL, more={"default": None}, elsewhere="Look here, for processes that run without a `serve`.",
    ),
    Row(
        "--redis-url-file", PROCESSES | FIND_REDIS, "File that holds this URL; read again at each attempt to connect.",
        ("redis.url",), UrlFile(), more={"default": None}, also_env=("TOWPATH_REDIS_FILE",),
        elsewhere="The same, where a file holds the URL.",
    ),
    Row(
        "--redis-wait", PROCESSES, "Seconds to wait at the start for a Redis that is not there yet.",
        ("redis.redis_wait_s",), SECONDS,
    ),
    Row("--prefix", PROCESSES | FIND_REDIS, "In front of every Redis key.", ("redis.prefix",)),
    Row(
        "--encryption-key-file", PROCESSES | FIND_REDIS,
        "File with one key per line: what crosses Redis is encrypted with the first, and decrypted with all.",
        ("redis.encryption_key_file",), KeyFilePath(), more={"default": None},
    ),
    Row(
        "--encryption-keys", PROCESSES | FIND_REDIS, "The keys themselves. In the environment only.", ("redis.encryption_keys",),
        EncryptionKeys(), more={"hidden": True, "callback": EncryptionKeys.refuse_on_command_line},
    ),
    Row(
        "--run-dir", FIND_SERVE, "Folder for the sockets of a running `serve`; one per user and port if not given.",
        (), click.Path(file_okay=False), elsewhere="The `serve` that has this folder.",
    ),
    Row("--buffer-budget", PROCESSES, "Largest sum of all windows of one process.", ("redis.buffer_budget_bytes",), Size()),
    Row(
        "--request-capacity", PROCESSES, "Connections that may wait for a worker: beyond it 503.",
        ("redis.request_capacity",), COUNT,
    ),
    Row("--queue-wait", PROCESSES, "Seconds a request waits for a worker: then 503.", ("redis.queue_wait_s",), SECONDS),
    Row(
        "--redis-outage-timeout", FOR_INTERFACE, "Seconds a running exchange waits for a Redis that is away: then 502, or an abort.",
        ("interface.redis_outage_timeout_s",), SECONDS,
    ),
    Row(
        "--resume-wait", PROCESSES, "Seconds an open WebSocket waits for its next worker: then 1012.",
        ("redis.resume_wait_s",), SECONDS,
    ),
    # The application.
    Row("--app-dir", FOR_WORKER, "Folder in which to look for APP.", ("worker.app_dir",)),
    Row(
        "--factory", FOR_WORKER, "APP is called without arguments and returns the application.",
        ("worker.factory",), more={"is_flag": True},
    ),
    Row(
        "--loop", FOR_WORKER, "Event loop of the workers; `auto` is uvloop.", ("worker.loop",),
        click.Choice(("auto", "uvloop", "asyncio")),
    ),
    Row("--interface", FOR_WORKER, "Interface of the application; `auto` detects it.", ("worker.interface",), ApplicationInterface()),
    Row(
        "--lifespan", FOR_WORKER, "Lifespan events: once per worker.",
        ("worker.lifespan",), click.Choice(("auto", "on", "off")),
    ),
    Row(
        "--threads", FOR_WORKER, "Threads for sync code, per worker; each connection is pinned to one.",
        ("worker.threads",), Whole(1, 1024),
    ),
    Row(
        "--worker-concurrency", FOR_WORKER, "HTTP exchanges that are processed at once, per worker.",
        ("worker.concurrency",), COUNT,
    ),
    Row(
        "--worker-streams", FOR_WORKER, "Further HTTP exchanges that stream a response or wait for their client's bytes, per worker.",
        ("worker.streams",), COUNT,
    ),
    Row("--worker-websockets", FOR_WORKER, "WebSockets at once, per worker.", ("worker.websockets",), COUNT),
    Row(
        "--direct-dispatch/--no-direct-dispatch", FOR_WORKER,
        "Let interface servers send requests to workers with free places, without the shared channel.", ("worker.direct_dispatch",),
        more={"is_flag": True},
    ),
    *CHANNEL_ROWS,
    Row(
        "--resume-websockets", FOR_WORKER,
        "Hand over every open WebSocket when a worker leaves; without it only those whose accept asks for it.",
        ("worker.resume_websockets",), more={"is_flag": True},
    ),
    Row(
        "--rebalance-rate", FOR_WORKER,
        "WebSockets per second that a worker with too many hands over by itself; 0: only when `towpath rebalance` asks for it.",
        ("worker.rebalance_per_s",), COUNT_OR_OFF,
    ),
    Row(
        "--sticky", PROCESSES, "Keep a client with the worker that it had before: by a `cookie`, or by its `address`.",
        ("interface.sticky", "worker.sticky"), click.Choice(("off", "cookie", "address")),
    ),
    Row(
        "--allow-mixed-apps", PROCESSES, "Start beside workers of another APP under the same --prefix.", ("redis.allow_mixed_apps",),
        more={"is_flag": True},
    ),
    Row(
        "--generation", ONLY_WORKER, "FLEET/NUMBER: WebSockets are left to workers with a higher number, if there are any.",
        ("redis.generation",), GENERATION,
    ),
    # The view that the application has of its clients; the headers and log lines of the interface server.
    Row(
        "--root-path", FOR_INTERFACE, "ASGI root_path: where a proxy has mounted the application.",
        ("interface.root_path",), MountPath(),
    ),
    Row(
        "--proxy-headers/--no-proxy-headers", FOR_INTERFACE, "Use X-Forwarded-For and X-Forwarded-Proto of trusted peers.",
        ("interface.proxy_headers",),
    ),
    Row(
        "--forwarded-allow-ips", FOR_INTERFACE, "Trusted peers: addresses, networks, `unix`, or `*`.  [also: FORWARDED_ALLOW_IPS]",
        ("interface.forwarded_allow_ips",), PROXY_LIST, also_env=("FORWARDED_ALLOW_IPS",),
    ),
    Row("--server-header/--no-server-header", FOR_INTERFACE, "Send `server: towpath`.", ("interface.server_header",)),
    Row("--date-header/--no-date-header", FOR_INTERFACE, "Send the date.", ("interface.date_header",)),
    Row(
        "--header", FOR_INTERFACE, "Add NAME:VALUE to every response (may be repeated).",
        ("interface.headers",), Header(), more=MANY,
    ),
    Row(
        "--health-path", FOR_INTERFACE, "Health checks, answered without a worker, with /live and /ready below it; `off`: none.",
        ("interface.health_path",), PathOrOff(),
    ),
    Row("--access-log/--no-access-log", FOR_INTERFACE, "Log one line per exchange.", ("interface.access_log",)),
    Row(
        "--access-log-format", FOR_INTERFACE, "Form of these lines, with gunicorn's atoms such as %(h)s.",
        ("interface.access_log_format",), ACCESS_FORMAT, more={"default": None},
    ),
    Row("--log-level", PROCESSES, "Least level that is logged.", ("interface.log_level", "worker.log_level"), LEVELS),
    Row(
        "--log-format", PROCESSES, "Log lines as `text`, or as `json`: one object a line.",
        ("interface.log_format", "worker.log_format"), click.Choice(("text", "json")),
    ),
    Row(
        "--log-config", PROCESSES, "Logging configuration: .json, .yaml, or .ini.",
        ("interface.log_config", "worker.log_config"), click.Path(exists=True, dir_okay=False),
    ),
    Row(
        "--admin-port", PROCESSES, "Port for metrics and health of this process; under `serve` the first of several; 0: none.",
        ("redis.admin_port",), PORT,
    ),
    Row("--traces/--no-traces", PROCESSES, "Send spans to a collector of OpenTelemetry (OTEL_… variables).", ("redis.traces",)),
    Row("--admin-host", PROCESSES, "Address of the admin port.", ("redis.admin_host",), HOST),
    # Limits.
    Row(
        "--limit-concurrency", FOR_INTERFACE, "Connections under way per interface server: above it 503; 0: off.",
        ("interface.limit_concurrency",), COUNT_OR_OFF,
    ),
    Row(
        "--limit-max-requests", FOR_WORKER, "Connections until a worker is replaced by a new one; 0: any number.",
        ("worker.requests_max",), COUNT_OR_OFF,
    ),
    Row(
        "--limit-max-requests-jitter", FOR_WORKER, "Random addition to --limit-max-requests, up to this, drawn once by each worker.",
        ("worker.requests_jitter",), COUNT_OR_OFF,
    ),
    Row(
        "--max-worker-age", FOR_WORKER, "Seconds until a worker is replaced by a new one; 0: any.",
        ("worker.age_s_max",), SECONDS,
    ),
    Row(
        "--max-worker-rss", FOR_WORKER, "Memory at which a worker is replaced by a new one; 0: any.",
        ("worker.rss_bytes_max",), Size(),
    ),
    Row(
        "--worker-timeout", FOR_WORKER, "Seconds a worker may be stuck or frozen before it is replaced; 0: any. Off with --reload.",
        ("worker.stuck_s_max",), SECONDS,
    ),
    Row(
        "--max-head-size", FOR_INTERFACE, "Largest request head, first line and fields: above it 431.",
        ("interface.head_size_bytes_max",), Size(least=1024, most=MEBIBYTE),
    ),
    Row(
        "--max-target-size", FOR_INTERFACE, "Longest request target: above it 414.",
        ("interface.target_size_bytes_max",), Size(1, MEBIBYTE),
    ),
    Row(
        "--max-headers", FOR_INTERFACE, "Most fields of a request: above it 431.",
        ("interface.header_fields_max",), Whole(1, 10_000),
    ),
    Row(
        "--max-body-size", FOR_INTERFACE, "Largest request body: above it 413; 0: any.",
        ("interface.body_size_bytes_max",), Size(),
    ),
    Row(
        "--body-timeout", FOR_INTERFACE, "Seconds without a byte of a request body that is awaited: then 408; 0: off.",
        ("interface.body_timeout_s",), SECONDS,
    ),
    Row(
        "--response-timeout", FOR_INTERFACE, "Seconds from adoption to the start of the response: then 504; 0: off.",
        ("interface.response_timeout_s",), SECONDS,
    ),
    Row(
        "--stall-timeout", FOR_INTERFACE, "Seconds a client may read nothing of what is sent: then it is cut off.",
        ("interface.write_timeout_s",), SECONDS,
    ),
    Row(
        "--half-close-timeout", FOR_INTERFACE, "Seconds to wait for a client that has closed its own direction; 0: it has left.",
        ("interface.half_close_timeout_s",), SECONDS,
    ),
    Row(
        "--timeout-keep-alive", FOR_INTERFACE, "Seconds an idle connection stays open.",
        ("interface.keep_alive_timeout_s",), SECONDS,
    ),
    Row(
        "--timeout-graceful-shutdown", PROCESSES, "Seconds from SIGTERM until a process leaves.",
        ("interface.graceful_timeout_s", "worker.graceful_timeout_s"), SECONDS,
    ),
    Row(
        "--drain-delay", FOR_INTERFACE, "Seconds an interface server stays open, but unready, after SIGTERM.",
        ("interface.drain_delay_s",), SECONDS,
    ),
    Row(
        "--ws-max-size", FOR_INTERFACE, "Largest WebSocket message: above it close 1009.",
        ("interface.ws_size_bytes_max",), Size(least=1),
    ),
    Row("--ws-ping-interval", FOR_INTERFACE, "Seconds between pings; 0: off.", ("interface.ws_ping_interval_s",), SECONDS),
    Row(
        "--ws-ping-timeout", FOR_INTERFACE, "Seconds to wait for a pong: then close 1011.",
        ("interface.ws_ping_timeout_s",), SECONDS,
    ),
    Row(
        "--ws-push-buffer", FOR_INTERFACE, "Bytes of group and third-party messages that one client has not read: above it close 1013.",
        ("interface.ws_push_bytes_max",), Size(least=1024),
    ),
    Row(
        "--ws-push-timeout", FOR_INTERFACE,
        "Seconds in which a client must read these messages if more than 1 MiB of them waits: else close 1013; 0: off.",
        ("interface.ws_push_timeout_s",), SECONDS,
    ),
    Row(
        "--ws-per-message-deflate", FOR_INTERFACE, "Compress WebSocket messages.",
        ("interface.ws_per_message_deflate",), TRUE_OR_FALSE,
    ),
    # Development.
    Row("--reload", ONLY_SERVE, "Restart the workers when files change.", more={"is_flag": True, "default": False}),
    Row(
        "--reload-dir", ONLY_SERVE, "Folder to watch (may be repeated); --app-dir if not given.", (),
        click.Path(exists=True, file_okay=False), more=MANY,
    ),
    Row("--reload-include", ONLY_SERVE, "Pattern of names to watch, beside *.py (may be repeated).", more=MANY),
    Row("--reload-exclude", ONLY_SERVE, "Pattern of names not to watch (may be repeated).", more=MANY),
)  # fmt: skip  # one option, one or three lines: a table that can be read down


def default_of(name: str) -> Any:
    """The default of the option of this name."""
    return next(row.default for row in ROWS if row.name == name)


def commands_of(flag: str) -> list[str]:
    """The commands that have this option, those that run on if there are any; none if there is no such option."""
    commands = {command for row in ROWS if flag in row.flags.split("/") for command in row.commands}
    return sorted(commands & PROCESSES) or sorted(commands)


def options_of(command: str) -> Callable[[click.Command], click.Command]:
    """Add every option that `command` understands, in the order of the table."""

    def add(target: click.Command) -> click.Command:
        target.params.extend(row.option(command) for row in ROWS if command in row.commands)
        return target

    return add
