"""Session affinity: `--sticky` keeps the connections of a client with one worker.

Applications that keep sessions in their process need it. With `cookie` the response of a worker that is new to the client gets a
cookie with the worker's name, and the client returns it. With `address` a client is recognized by its address, and stores
nothing: interface servers agree on a first worker by rendezvous hashing, and remember the worker that took the client.

If the worker of a client is gone, any other takes the client, and is its worker from then on. No I/O here. PROTOCOL.md, "Affinity".
"""

from __future__ import annotations

from collections.abc import Collection
from hashlib import blake2b
from typing import Final, NamedTuple, Protocol

from channel_layer.protocol.events import Event

COOKIE: Final = "towpath-worker"
#: Addresses whose worker is remembered. Beyond that the address that connected longest ago is forgotten.
ADDRESSES_MAX: Final = 65_536

_WITH_FIELDS: Final = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start"})


class Tie(NamedTuple):
    """Identity of one client: the worker's name in its cookie (empty: it has none), or its address."""

    client: str
    secure: bool  #: the connection uses https or wss


class Affinity(Protocol):
    """A way to recognize clients and tie them to workers."""

    def tie(self, scope: Event) -> Tie | None:
        """The client of a connection; None: it cannot be recognized."""

    def worker(self, tie: Tie, workers: Collection[str]) -> str | None:
        """The worker for the client's connection, one of `workers`; None: any."""

    def remember(self, tie: Tie, worker: str) -> None:
        """Remember the worker that took a connection of this client."""

    def marked(self, events: list[Event], tie: Tie, worker: str) -> list[Event]:
        """Return the first events of the worker's answer, with a cookie for the client to store where needed."""


class ByCookie:
    """Recognizes a client by a cookie with the name of its worker, which our responses set."""

    def __init__(self, root_path: str) -> None:
        self._path = root_path or "/"
        self._prefix = f"{COOKIE}="

    def tie(self, scope: Event) -> Tie:
        """See `Affinity.tie`."""
        worker = ""
        for name, value in scope["headers"]:
            if name == b"cookie":
                worker = self._worker_in(value.decode("latin-1")) or worker
        return Tie(worker, scope["scheme"] in ("https", "wss"))

    def _worker_in(self, cookies: str) -> str:
        for pair in cookies.split(";"):
            if (pair := pair.strip()).startswith(self._prefix):
                return pair[len(self._prefix) :]
        return ""

    def worker(self, tie: Tie, workers: Collection[str]) -> str | None:
        """See `Affinity.worker`. An invented name is either no worker's, or that of a worker that serves this client like any other."""
        return tie.client if tie.client in workers else None

    def remember(self, tie: Tie, worker: str) -> None:
        """See `Affinity.remember`. The response has the cookie."""

    def marked(self, events: list[Event], tie: Tie, worker: str) -> list[Event]:
        """See `Affinity.marked`: a cookie for the session of the browser, unless the client has it already."""
        if tie.client == worker:
            return events
        cookie = f"{self._prefix}{worker}; Path={self._path}; HttpOnly; SameSite=Lax" + "; Secure" * tie.secure
        field = (b"set-cookie", cookie.encode("latin-1"))
        return [
            {**event, "headers": [*(event.get("headers") or ()), field]} if event["type"] in _WITH_FIELDS else event
            for event in events
        ]


class ByAddress:
    """Recognizes a client by its address: behind a proxy, that in X-Forwarded-For of a trusted peer."""

    def __init__(self) -> None:
        self._workers: dict[str, str] = {}  # by address, in order of the last connection

    def tie(self, scope: Event) -> Tie | None:
        """See `Affinity.tie`. Behind a unix socket without a trusted proxy there is no address."""
        client = scope["client"]
        return Tie(client[0], False) if client else None

    def worker(self, tie: Tie, workers: Collection[str]) -> str | None:
        """See `Affinity.worker`."""
        had = self._workers.get(tie.client)
        if had in workers:
            return had
        return max(workers, key=lambda worker: _weight(tie.client, worker), default=None)

    def remember(self, tie: Tie, worker: str) -> None:
        """See `Affinity.remember`."""
        self._workers.pop(tie.client, None)
        self._workers[tie.client] = worker
        if len(self._workers) > ADDRESSES_MAX:
            del self._workers[next(iter(self._workers))]

    def marked(self, events: list[Event], tie: Tie, worker: str) -> list[Event]:
        """See `Affinity.marked`. The client stores nothing."""
        return events


def affinity(sticky: str, root_path: str) -> Affinity | None:
    """The affinity for a value of `--sticky`; None: `off`."""
    if sticky == "cookie":
        return ByCookie(root_path)
    return ByAddress() if sticky == "address" else None


def _weight(client: str, worker: str) -> bytes:
    """Rendezvous hashing: a worker that starts or ends moves no clients but its own."""
    return blake2b(f"{client} {worker}".encode(), digest_size=8).digest()
