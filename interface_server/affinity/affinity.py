"""Session affinity: which worker a client's connections go to, where `--sticky` keeps a client with one worker.

Needed by applications that keep sessions in their process. With `cookie` each response of another worker sets a cookie with the
worker's name, and the client sends it back. With `address` a client is known by its address, and nothing is stored at the client:
interface servers agree on a first worker by rendezvous hashing, and remember which one took it.

If the worker of a client is gone, any other takes the client, and is its worker from then on. No I/O here. PROTOCOL.md, "Affinity".
"""

from __future__ import annotations

from collections.abc import Collection
from hashlib import blake2b
from typing import NamedTuple, Protocol

from channel_layer.protocol.events import Event

COOKIE = "towpath-worker"
#: Addresses of which the worker is remembered; beyond it the one that connected longest ago is forgotten.
ADDRESSES_MAX = 65_536

_WITH_FIELDS = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start"})


class Tie(NamedTuple):
    """One client, as the affinity knows it: by the worker's name in its cookie (empty: it has none), or by its address."""

    client: str
    secure: bool  #: it came by https or wss


class Affinity(Protocol):
    """How clients are recognized, and tied to workers."""

    def tie(self, scope: Event) -> Tie | None:
        """The client of a connection; None: there is nothing to know it by."""

    def worker(self, tie: Tie, workers: Collection[str]) -> str | None:
        """The worker that its connection is for, one of `workers`; None: any."""

    def adopted(self, tie: Tie, worker: str) -> None:
        """A worker took a connection of this client."""

    def marked(self, events: list[Event], tie: Tie, worker: str) -> list[Event]:
        """The events of the worker that begin its answer, with what the client is to keep."""


class ByCookie:
    """The client sends the name of its worker in a cookie, which our responses set."""

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
        """See `Affinity.worker`. A name that a client made up belongs to no worker, or to one that serves it like any other."""
        return tie.client if tie.client in workers else None

    def adopted(self, tie: Tie, worker: str) -> None:
        """See `Affinity.adopted`. The response has the cookie."""

    def marked(self, events: list[Event], tie: Tie, worker: str) -> list[Event]:
        """See `Affinity.marked`: a cookie for the session of the browser, where the client has not got it already."""
        if tie.client == worker:
            return events
        cookie = f"{self._prefix}{worker}; Path={self._path}; HttpOnly; SameSite=Lax" + "; Secure" * tie.secure
        field = (b"set-cookie", cookie.encode("latin-1"))
        return [
            {**event, "headers": [*(event.get("headers") or ()), field]} if event["type"] in _WITH_FIELDS else event
            for event in events
        ]


class ByAddress:
    """A client is its address: behind a proxy, the one in X-Forwarded-For of a trusted peer."""

    def __init__(self) -> None:
        self._workers: dict[str, str] = {}  # by address; the last that connected is last

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

    def adopted(self, tie: Tie, worker: str) -> None:
        """See `Affinity.adopted`."""
        self._workers.pop(tie.client, None)
        self._workers[tie.client] = worker
        if len(self._workers) > ADDRESSES_MAX:
            del self._workers[next(iter(self._workers))]

    def marked(self, events: list[Event], tie: Tie, worker: str) -> list[Event]:
        """See `Affinity.marked`. Nothing is kept by the client."""
        return events


def affinity(sticky: str, root_path: str) -> Affinity | None:
    """What `--sticky` asks for; None: `off`."""
    if sticky == "cookie":
        return ByCookie(root_path)
    return ByAddress() if sticky == "address" else None


def _weight(client: str, worker: str) -> bytes:
    """Rendezvous hashing: a worker that comes or goes moves no client but its own."""
    return blake2b(f"{client} {worker}".encode(), digest_size=8).digest()
