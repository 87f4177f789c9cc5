"""Options of uvicorn, gunicorn and Daphne that Towpath does not have: two are understood, each other has a message.

A guess at another name would not help. docs/migrating.md says the same at length.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

SERVE = "serve"

NO_TLS = "there is no TLS here yet; put a proxy that does TLS in front"
NO_HTTP2 = "there is no HTTP/2 here yet; put a proxy that speaks it in front"
BIND = "use --host and --port, or --uds for a unix socket"
NO_CLASSES = "there is one class of workers; whether APP is ASGI or WSGI is detected (or set by --interface)"
NO_PYTHON_FILE = "use --config with a TOML file, or TOWPATH_… in the environment"
NO_DAEMON = "it stays in the foreground; let systemd, a container or the shell send it away"
NO_LOG_FILE = "logs go to standard output; redirect that, or use --log-config"
NO_SYSLOG = (
    "logs go to standard output, which systemd and containers collect; --log-config can have a handler for syslog"
)
NO_STATSD = "there is no statsd; --admin-port has metrics for Prometheus"
NO_USER = "start it as the user that it shall have; systemd, supervisord and containers do that"
NO_HOOKS = "there are no processes for other work here; `towpath worker --channel` does background work"
NO_PROXY_PROTOCOL = (
    "there is no PROXY protocol here; let the proxy send X-Forwarded-For, and name it in --forwarded-allow-ips"
)
NO_SOCKET_OF_CONTROL = "`towpath status`, `reload`, `scale` and `stop` find a `serve` by its --port, --uds or --run-dir"
STRICT = "what two parsers could read in two ways is always refused"
SILENCE = "use --worker-timeout for a blocked worker, --response-timeout for a slow answer"
PINGS = "use --ws-ping-interval and --ws-ping-timeout"
BY_UVLOOP = "use --loop"

ANSWERS = {
    # uvicorn
    "--http": "requests are always parsed by httptools",
    "--http2": NO_HTTP2,
    "--ws": "WebSockets are always Autobahn's",
    "--ws-max-queue": "what waits for an application is bounded in bytes: --buffer-budget",
    "--h11-max-incomplete-event-size": "heads have limits of their own: --max-head-size, --max-target-size, --max-headers",
    "--reset-contextvars": "every connection has a context of its own anyway",
    "--timeout-worker-healthcheck": "not needed: each worker renews a lease; see --worker-timeout",
    "--reload-delay": "a reload begins as soon as files have changed",
    "--use-colors": "logs have no colours",
    "--no-use-colors": "logs have no colours anyway",
    # gunicorn, and others that took their names from it
    "-b": BIND,
    "--bind": BIND,
    "-w": "use --workers",
    "-k": NO_CLASSES,
    "--worker-class": NO_CLASSES,
    "-c": NO_PYTHON_FILE,
    "--check-config": "`towpath config` shows the settings, and `towpath worker` with --check loads the application",
    "--print-config": "use `towpath config`",
    "-D": NO_DAEMON,
    "--daemon": NO_DAEMON,
    "--chdir": "use --app-dir, or change the folder first",
    "--pythonpath": "use --app-dir, or PYTHONPATH in the environment",
    "--preload": "each worker loads the application for itself",
    "--paste": "give APP as module:attribute",
    "--paster": "give APP as module:attribute",
    "--paste-global": "give APP as module:attribute",
    "--env": "use --env-file, or set it in the environment",
    "-e": "use --env-file for variables, and --host with --port in the place of an endpoint",
    "-p": "use --port; there is no file with the process id, and `towpath stop` needs none",
    "--pid": "there is no file with the process id; `towpath stop` needs none",
    "-n": "name a deployment by --prefix",
    "--name": "name a deployment by --prefix",
    "-u": "use --uds for a unix socket; the user is that which starts it",
    "--user": NO_USER,
    "-g": NO_USER,
    "--group": NO_USER,
    "--initgroups": NO_USER,
    "-m": "use --uds-permissions for the unix socket",
    "--umask": "use --uds-permissions for the unix socket",
    "--worker-connections": "use --worker-concurrency and --worker-websockets, or --limit-concurrency at the interface server",
    "--max-requests": "use --limit-max-requests",
    "--max-requests-jitter": "use --limit-max-requests-jitter",
    "-t": SILENCE,
    "--timeout": SILENCE,
    "--graceful-timeout": "use --timeout-graceful-shutdown",
    "--keep-alive": "use --timeout-keep-alive",
    "--limit-request-line": "use --max-target-size",
    "--limit-request-fields": "use --max-headers",
    "--limit-request-field_size": "use --max-head-size, for all fields together",
    "--reload-engine": "files are always watched by the kernel's events",
    "--reload-extra-file": "use --reload-dir and --reload-include",
    "--spew": "there is no trace of each line; use --log-level trace",
    "--no-sendfile": "bytes of an application always come through Redis",
    "--worker-tmp-dir": "workers write no files",
    "--http-parser": "requests are always parsed by httptools",
    "--http-protocols": NO_HTTP2,
    "--http2-cleartext": NO_HTTP2,
    "--http2-max-concurrent-streams": NO_HTTP2,
    "--http2-initial-window-size": NO_HTTP2,
    "--http2-max-frame-size": NO_HTTP2,
    "--http2-max-header-list-size": NO_HTTP2,
    "--keyfile": NO_TLS,
    "--certfile": NO_TLS,
    "--cert-reqs": NO_TLS,
    "--ca-certs": NO_TLS,
    "--ciphers": NO_TLS,
    "--suppress-ragged-eofs": NO_TLS,
    "--do-handshake-on-connect": NO_TLS,
    "--protocol": "there is HTTP/1 only; let the proxy speak that",
    "--uwsgi-allow-from": "there is HTTP/1 only; let the proxy speak that",
    "--proxy-protocol": NO_PROXY_PROTOCOL,
    "--proxy-allow-from": NO_PROXY_PROTOCOL,
    "--forwarder-headers": "only X-Forwarded-For and X-Forwarded-Proto are used; see --proxy-headers",
    "--header-map": STRICT,
    "--permit-obsolete-folding": STRICT,
    "--strip-header-spaces": STRICT,
    "--permit-unconventional-http-method": STRICT,
    "--permit-unconventional-http-version": STRICT,
    "--casefold-http-method": STRICT,
    "--asgi-loop": BY_UVLOOP,
    "--asgi-lifespan": "use --lifespan",
    "--asgi-disconnect-grace-period": "an application has as long as it needs after its client has left",
    "--access-logfile": NO_LOG_FILE,
    "--error-logfile": NO_LOG_FILE,
    "--log-file": NO_LOG_FILE,
    "--access-logformat": "use --access-log-format",
    "--disable-redirect-access-to-syslog": NO_SYSLOG,
    "--log-syslog": NO_SYSLOG,
    "--log-syslog-to": NO_SYSLOG,
    "--log-syslog-prefix": NO_SYSLOG,
    "--log-syslog-facility": NO_SYSLOG,
    "--capture-output": "the output of an application is always shown, with the name of its process",
    "-R": "the output of an application is always shown, with the name of its process",
    "--enable-stdio-inheritance": "the output of an application is always shown, with the name of its process",
    "--logger-class": "use --log-config",
    "--log-config-json": "use --log-config, which reads JSON too",
    "--statsd-host": NO_STATSD,
    "--statsd-prefix": NO_STATSD,
    "--dogstatsd-tags": NO_STATSD,
    "--enable-backlog-metric": NO_STATSD,
    "--dirty-app": NO_HOOKS,
    "--dirty-workers": NO_HOOKS,
    "--dirty-timeout": NO_HOOKS,
    "--dirty-threads": NO_HOOKS,
    "--dirty-graceful-timeout": NO_HOOKS,
    "--control-socket": NO_SOCKET_OF_CONTROL,
    "--control-socket-mode": NO_SOCKET_OF_CONTROL,
    "--no-control-socket": NO_SOCKET_OF_CONTROL,
    # Daphne
    "--unix-socket": "use --uds",
    "--endpoint": "use --host and --port, --uds or --fd; there is one address",
    "-v": "use --log-level",
    "--verbosity": "use --log-level",
    "--log-fmt": "use --log-config",
    "--http-timeout": "use --response-timeout",
    "--ping-interval": PINGS,
    "--ping-timeout": PINGS,
    "--websocket_timeout": "a WebSocket may stay open for as long as both sides want",
    "--websocket_connect_timeout": "use --queue-wait, for as long as a handshake waits for a worker",
    "--websocket-max-message-size": "use --ws-max-size",
    "--websocket-max-frame-size": "use --ws-max-size, which bounds the message, whatever its frames",
    "--application-close-timeout": "an application has as long as it needs after its client has left",
    "--proxy-headers-host": "the client is that of X-Forwarded-For, from the peers in --forwarded-allow-ips",
    "--proxy-headers-port": "the client is that of X-Forwarded-For, from the peers in --forwarded-allow-ips",
    "-s": "use --no-server-header and --header 'server: …'",
    "--server-name": "use --no-server-header and --header 'server: …'",
    "--no-server-name": "use --no-server-header",
}

#: gunicorn's names that are understood, as they mean exactly what ours do.
BINDS, WORKERS = ("--bind", "-b"), "-w"
START_MORE = "this is one process; start another one beside it, or let `towpath serve --workers` start them"
FIND = "a running `serve` is found by its --port, --uds or --run-dir"
OPTION, OTHER_COMMAND = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*"), re.compile(r"`towpath [^`]*`")
ADDRESS = ("--host", "--port", "--uds", "--fd")
HOST_AND_PORT = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:\s]*)(?::(?P<port>\d{1,5}))?")


def answer(option: str) -> str | None:
    """The message for `option`; None if those servers do not have it either."""
    return NO_TLS if option.startswith("--ssl-") else ANSWERS.get(option)


def answer_of(option: str, command: str, known: Collection[str]) -> str | None:
    """The message for `option` of this command, which has the options `known`. It advises no option that would be the next error."""
    text = _elsewhere(option, command, known) or answer(option)
    advised = OPTION.findall(OTHER_COMMAND.sub("", text or ""))
    if command != SERVE and text and advised and not set(advised) & set(known):
        return f"not an option of `towpath {command}`; for `towpath serve`: {text}"
    return text


def _elsewhere(option: str, command: str, known: Collection[str]) -> str | None:
    """The message about what is understood where the command has our options for it, for a command that has not."""
    if option in BINDS and "--host" not in known:
        return FIND if "--port" in known else "a worker listens nowhere; `towpath serve` and `towpath interface` do"
    if option == WORKERS and "--workers" not in known:
        return START_MORE if command in ("worker", "interface") else "`towpath scale worker=N` changes their number"
    return None


def understood(arguments: Sequence[str], known: Collection[str]) -> list[str]:
    """The arguments of a command with `-b ADDRESS`, `--bind ADDRESS` and `-w N` as our options, where the command has these.

    Raises ValueError with a sentence about an address that is none.
    """
    found: list[str] = []
    rest = iter(arguments)
    bound, named = "", []
    for argument in rest:
        if argument == "--":
            return [*found, argument, *rest]
        flag, value = _flag_and_value(argument)
        if flag in BINDS and "--host" in known:
            value = next(rest, None) if value is None else value
            if value is None:
                return [*found, argument]  # click says what is missing
            if bound:
                raise ValueError(
                    f"{flag} {value}: there is one address, and it is {bound} already; a second `interface` can have this one"
                )
            bound = value
            address = _address(flag, value)
            found += address
            named += address[::2]
        elif flag == WORKERS and "--workers" in known:
            found += ["--workers"] if value is None else ["--workers", value]
        else:
            found.append(argument)
            named.append(flag)
        if bound and (twice := next((each for each in ADDRESS if named.count(each) > 1), None)):
            raise ValueError(f"{BINDS[0]} {bound} and {twice} both say where to listen; give one of them")
    return found


def _flag_and_value(argument: str) -> tuple[str, str | None]:
    """`--bind=x`, `-bx` and `-b` taken apart."""
    if argument.startswith("--"):
        flag, equals, value = argument.partition("=")
        return flag, value if equals else None
    return argument[:2], argument[2:].removeprefix("=") or None


def _address(flag: str, text: str) -> list[str]:
    """Our options for an address as gunicorn writes it: HOST, HOST:PORT, :PORT, unix:PATH, fd://NUMBER."""
    kind, colon, rest = text.partition(":")
    if kind == "unix" and colon and rest:
        return ["--uds", rest.removeprefix("//")]
    if kind == "fd" and rest.startswith("//") and rest[2:].isdigit():
        return ["--fd", rest[2:]]
    match = HOST_AND_PORT.fullmatch(text.removeprefix("tcp://"))
    if match is None or not text or text.isdecimal() or int(match["port"] or 0) > 65535:
        raise ValueError(
            f"{flag} {text}: {text!r} is no address such as 0.0.0.0:8000, [::]:8000 or unix:/run/site.sock"
        )
    host = match["host"].strip("[]") or "0.0.0.0"  # what gunicorn means by an address without a host
    return ["--host", host, *(["--port", match["port"]] if match["port"] else [])]
