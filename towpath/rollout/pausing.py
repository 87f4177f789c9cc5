"""Pausing workers under `--reload`: from the moment when a file has changed, old code takes no request.

    → {"do": "follow", "began": 81.25}   from a worker, once, over the control socket; when it began to load the application
    ← {"pause": true}                    it takes no requests from now on; false: it takes them again. Until one side ends

Requests wait in the queue meanwhile: for a worker with the new code, or until that code is known to fail and the old workers take
them again. Moments are those of the monotonic clock, which all processes of a machine share. The side of a worker is in
worker_supervision.py.
"""

from __future__ import annotations

import math
import time

from towpath.runtime.control_socket import Request

FOLLOW = "follow"


class Followers:
    """The workers that follow, and the moment since which code is old."""

    def __init__(self) -> None:
        self._changed_at = -math.inf
        self._followers: list[Request] = []

    def add(self, request: Request) -> None:
        """Let a worker follow from now on."""
        self._followers.append(request)
        self._send(request)

    def code_changed(self) -> None:
        """Pause the workers that began to load before this moment."""
        self._changed_at = time.monotonic()
        self._send_to_all()

    def on_old_code_kept(self) -> None:
        """Resume all workers: the new code cannot serve."""
        self._changed_at = -math.inf
        self._send_to_all()

    def close(self) -> None:
        """Close the connections to all followers."""
        for request in self._followers:
            request.close()

    def _send_to_all(self) -> None:
        for request in list(self._followers):
            self._send(request)

    def _send(self, request: Request) -> None:
        began = request.asked.get("began")
        if not request.send({"pause": isinstance(began, float) and began < self._changed_at}):
            self._followers.remove(request)
            request.close()
