"""Requests to a `serve` that are under way, and the jobs that each waits for."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from towpath.fleet.fleet import Job
from towpath.runtime.control_socket import Request


@dataclass(slots=True)
class Operation:
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


class Operations:
    """All operations of one `serve`."""

    def __init__(self, log: Callable[[str], None], log_error: Callable[[str], None]) -> None:
        self.log = log
        self._log_error = log_error
        self._under_way: list[Operation] = []

    def add(self, requests: list[Request], jobs: list[Job], done: str) -> None:
        """Answer `requests` with `done` when all of `jobs` are over."""
        self._under_way.append(Operation(requests, jobs, done))

    def report(self, text: str) -> None:
        """Log progress, and report it to every request that waits."""
        self.log(text)
        self._report_to_all(text)

    def report_error(self, text: str) -> None:
        """The same for what has failed. An operation that it is the answer to gets it as that."""
        self._log_error(text)
        self._report_to_all(text)

    def _report_to_all(self, text: str) -> None:
        for operation in self._under_way:
            for request in operation.requests if operation.failure != text else ():
                request.report(text)

    def answer_finished(self) -> None:
        """Answer the requests of every operation that is over."""
        for operation in [each for each in self._under_way if each.is_over]:
            self._under_way.remove(operation)
            passed_s = time.monotonic() - operation.began_at
            failure = operation.failure
            text = failure or f"{operation.done} in {passed_s:.1f} s"
            if not failure:
                self.log(text)
            for request in operation.requests:
                request.answer(1 if failure else 0, text)

    def close(self, why: str) -> None:
        """Answer every request: the work that it waits for will not be done."""
        for operation in self._under_way:
            for request in operation.requests:
                request.answer(1, why)
