"""Requests to a `serve` that are under way, and the jobs that each waits for."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from towpath.fleet.fleet import Job
from towpath.runtime.control_socket import Request


@dataclass(slots=True)
class Undertaking:
    """Jobs of the fleets, and the requests that are answered when all of them are over. done: the answer then."""

    requests: list[Request]
    jobs: list[Job]
    done: str
    began_at: float = field(default_factory=time.monotonic)

    @property
    def is_over(self) -> bool:
        """True if every job is done or has failed."""
        return all(job.over for job in self.jobs)

    @property
    def failure(self) -> str:
        """Why the first job that failed did so; empty if none has."""
        return next((job.failure for job in self.jobs if job.failure), "")


class Undertakings:
    """All undertakings of one `serve`."""

    def __init__(self, log: Callable[[str], None]) -> None:
        self.log = log
        self._under_way: list[Undertaking] = []

    def add(self, requests: list[Request], jobs: list[Job], done: str) -> None:
        """Answer `requests` with `done` when all of `jobs` are over."""
        self._under_way.append(Undertaking(requests, jobs, done))

    def report(self, text: str) -> None:
        """Log progress, and report it to every request that waits."""
        self.log(text)
        for undertaking in self._under_way:
            for request in undertaking.requests:
                request.report(text)

    def answer_finished(self) -> None:
        """Answer the requests of every undertaking that is over."""
        for undertaking in [each for each in self._under_way if each.is_over]:
            self._under_way.remove(undertaking)
            passed_s = time.monotonic() - undertaking.began_at
            failure = undertaking.failure
            text = failure or f"{undertaking.done} in {passed_s:.1f} s"
            if not failure:
                self.log(text)
            for request in undertaking.requests:
                request.answer(1 if failure else 0, text)

    def close(self, why: str) -> None:
        """Answer every request: the work that it waits for will not be done."""
        for undertaking in self._under_way:
            for request in undertaking.requests:
                request.answer(1, why)
