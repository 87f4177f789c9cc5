"""Options of uvicorn and gunicorn that Towpath does not have, and the message for each. A guess at another name would not help."""

from __future__ import annotations

NO_TLS = "there is no TLS here yet; put a proxy that does TLS in front"
BIND = "use --host and --port, or --uds for a unix socket"
NO_CLASSES = "there is one class of workers; whether APP is ASGI or WSGI is detected (or set by --interface)"
NO_FILE = "there is no file of options; set TOWPATH_… in the environment, or --env-file"
NO_DAEMON = "it stays in the foreground; let systemd, a container or the shell send it away"
NO_LOG_FILE = "logs go to standard output; redirect that, or use --log-config"

ANSWERS = {
    "--http": "requests are always parsed by httptools",
    "--http2": "there is no HTTP/2 here yet; put a proxy that speaks it in front",
    "--ws": "WebSockets are always Autobahn's",
    "--ws-max-queue": "what waits for an application is bounded in bytes: --buffer-budget",
    "--h11-max-incomplete-event-size": "heads have limits of their own: --max-head-size, --max-target-size, --max-headers",
    "--reset-contextvars": "every connection has a context of its own anyway",
    "--timeout-worker-healthcheck": "not needed: each worker renews a lease",
    "--reload-delay": "a reload begins as soon as files have changed",
    "--use-colors": "logs have no colours",
    "--no-use-colors": "logs have no colours anyway",
    # gunicorn, and others that took their names from it
    "-b": BIND,
    "--bind": BIND,
    "-p": "use --port",
    "-w": "use --workers",
    "-k": NO_CLASSES,
    "--worker-class": NO_CLASSES,
    "-c": NO_FILE,
    "--config": NO_FILE,
    "-D": NO_DAEMON,
    "--daemon": NO_DAEMON,
    "--chdir": "use --app-dir, or change the folder first",
    "--preload": "each worker loads the application for itself",
    "--max-requests": "use --limit-max-requests",
    "--max-requests-jitter": "use --limit-max-requests-jitter",
    "--graceful-timeout": "use --timeout-graceful-shutdown",
    "--keep-alive": "use --timeout-keep-alive",
    "--access-logformat": "use --access-log-format",
    "--access-logfile": NO_LOG_FILE,
    "--error-logfile": NO_LOG_FILE,
}


def answer(option: str) -> str | None:
    """The message for `option`; None if those servers do not have it either."""
    return NO_TLS if option.startswith("--ssl-") else ANSWERS.get(option)
