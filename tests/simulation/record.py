"""What happened in one run of the simulated world: told at the end, and judged while it happens."""

from __future__ import annotations

from tests.simulation.virtual_loop import VirtualClock

TOLD_MAX = 400


class Record:
    """`broken` holds what no schedule may show; `told` is the story that leads to it."""

    def __init__(self, clock: VirtualClock, seed: str) -> None:
        self.seed = seed
        self.talks = False  # instances speak to their own clients by the layer too
        self.weather = "any"  # what may happen in this world: see world.py
        self.data_lost = False  # Redis has lost some of its data
        self._clock = clock
        self.told: list[str] = []
        self.broken: list[str] = []

    def tell(self, what: str) -> None:
        """Something worth knowing when a schedule has failed."""
        if len(self.told) < TOLD_MAX:
            self.told.append(f"{self._clock.now:9.4f} {what}")

    def check(self, fact: object, promise: str) -> None:
        """`fact` must be true, at this moment and for ever."""
        if not fact:
            self.tell(f"BROKEN {promise}")
            self.broken.append(promise)
