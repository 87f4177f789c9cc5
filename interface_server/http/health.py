"""The interface server's answers about its own health; they need no worker.

`live`: this process answers. `ready`: Redis answers and it is not draining, so new connections are welcome here. Load
balancers ask often and want the truth of this moment, so the answers are never cached and never logged.
"""

from __future__ import annotations

from typing import Final

from interface_server.http.answers import Answer

NO_STORE: Final = (b"cache-control", b"no-store")
LIVE: Final = Answer(200, "live\n", NO_STORE)
READY: Final = Answer(200, "ready\n", NO_STORE)
NOT_READY: Final = Answer(503, "not ready\n", NO_STORE, (b"retry-after", b"1"))
WRONG_METHOD: Final = Answer(405, "ask with GET, HEAD or OPTIONS\n", NO_STORE, (b"allow", b"GET, HEAD, OPTIONS"))


class Health:
    """The two paths below `prefix`; an empty prefix turns them off, and applications get such requests."""

    __slots__ = ("_live", "paths")

    def __init__(self, prefix: str) -> None:
        prefix = prefix.rstrip("/")
        self._live = prefix + "/live"
        self.paths = frozenset((self._live, prefix + "/ready") if prefix else ())  #: decoded paths that are ours

    def answer(self, path: str, method: str, ready: bool) -> Answer:
        """The answer to a request for one of `paths`. OPTIONS, HAProxy's own choice, gets the answer of GET."""
        if method not in ("GET", "HEAD", "OPTIONS"):
            return WRONG_METHOD
        if path == self._live:
            return LIVE
        return READY if ready else NOT_READY
