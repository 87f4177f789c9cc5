"""Observes one deployment: each observation has the state of the moment, the rates since the last ones, and what is wrong."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from channel_layer.process.local_process import identity
from towpath.errors import StartFailure
from towpath.overview.findings import Finding, findings, has_error, unreachable
from towpath.overview.rates import NO_RATES, Rates, Readings
from towpath.overview.report import as_json, as_page_json, as_table
from towpath.runtime import run_dir
from towpath.status.redis_status import RedisStatus
from towpath.status.state import Status


@dataclass(frozen=True, slots=True)
class Observation:
    """One observation."""

    status: Status
    rates: Rates
    findings: tuple[Finding, ...]

    @classmethod
    def without_redis(cls, sentence: str) -> Observation:
        """An empty state; its only finding is why it cannot be read."""
        return cls(Status((), ()), NO_RATES, (unreachable(sentence),))

    @property
    def json(self) -> str:
        """For programs."""
        return as_json(self.status, self.rates, self.findings)

    @property
    def page_json(self) -> str:
        """For the page."""
        return as_page_json(self.status, self.rates, self.findings)

    @property
    def table(self) -> str:
        """For people."""
        return as_table(self.status, self.rates, self.findings)

    @property
    def has_error(self) -> bool:
        """True if something is wrong that clients notice."""
        return has_error(self.findings)


class Observer:
    """Observes as often as it is asked to."""

    def __init__(self, redis_status: RedisStatus, folder: Path | None) -> None:
        """folder: the run folder of the `serve` to which the processes belong, if one does."""
        self._redis_status = redis_status
        self._folder = folder
        self._readings = Readings()

    def observe(self) -> Observation:
        """The state of now. StartFailure when Redis does not answer."""
        status = self._redis_status.read()
        if self._folder is not None:
            facts = run_dir.facts(self._folder) or {}
            names = run_dir.process_names(self._folder)
            status = status.of_serve(facts.get("wanted", {}), names, identity()["machine"])
        return Observation(status, self._readings.add(status, time.monotonic()), findings(status))

    def observe_anyway(self) -> Observation:
        """The same; where Redis does not answer, an empty state with that as its only finding."""
        try:
            return self.observe()
        except StartFailure as failure:
            return Observation.without_redis(str(failure))
