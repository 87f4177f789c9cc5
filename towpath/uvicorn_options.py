"""Options of uvicorn that are none here, and what to tell who brings them along: a guess at another name would not help."""

from __future__ import annotations

NO_TLS = "there is no TLS here yet; put a proxy that does TLS in front"

ANSWERS = {
    "--loop": "the event loop is always uvloop",
    "--http": "requests are always parsed by httptools",
    "--http2": "there is no HTTP/2 here yet; put a proxy that speaks it in front",
    "--ws": "WebSockets are always Autobahn's",
    "--ws-max-queue": "what waits for an application is bounded in bytes: --buffer-budget",
    "--h11-max-incomplete-event-size": "heads have limits of their own: --max-head-size, --max-target-size, --max-headers",
    "--reset-contextvars": "every connection has a context of its own anyway",
    "--timeout-worker-healthcheck": "nobody has to ask: workers say by themselves that they are alive",
    "--reload-delay": "a reload begins as soon as files have changed",
    "--use-colors": "logs have no colours",
    "--no-use-colors": "logs have no colours anyway",
}


def answer(option: str) -> str | None:
    """What to say about `option`; None if uvicorn does not know it either."""
    return NO_TLS if option.startswith("--ssl-") else ANSWERS.get(option)
