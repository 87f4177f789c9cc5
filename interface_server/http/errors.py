"""Errors of a request that is not served, in any version of HTTP."""

from __future__ import annotations


class RequestError(Exception):
    """Reason not to serve a request. `status` and `why` go to the client; `name` is counted."""

    def __init__(self, status: int, why: str, name: str) -> None:
        super().__init__(status, why)
        self.status = status
        self.why = why
        self.name = name
