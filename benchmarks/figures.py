"""Samples, their medians, and the goals that they are held against. Values in, values out.

A sample is what one server did in one round of one row. The first of its figures is the row's main one. A ratio is that
of two medians of the same run, so that a reader can check it from the table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

Medians = dict[str, dict[str, float]]  #: server to figure's name to its median


@dataclass(frozen=True, slots=True)
class Sample:
    figures: dict[str, float]
    #: part (interface, worker, …, client) to µs per unit of work
    cpu_us: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Goal:
    """One line of what is to be reached, as a function of a row's medians."""

    text: str
    figure: Callable[[Medians], float]  #: raises KeyError where a server or a figure is missing from this run
    least: float
    aim: float | None = None
    lower_is_better: bool = False

    def reached(self, value: float, limit: float) -> bool:
        return value <= limit if self.lower_is_better else value >= limit


def ratio(figure: str, to: str) -> Callable[[Medians], float]:
    """Towpath's median as a multiple of another server's."""
    return lambda medians: medians["towpath"][figure] / medians[to][figure]


def best_ratio(figure: str, of: Sequence[str], contestant: str = "towpath") -> Callable[[Medians], float]:
    """A contestant's median as a multiple of the best median of several others, each of which must have been measured."""
    return lambda medians: medians[contestant][figure] / max(medians[other][figure] for other in of)


def added(figure: str, to: str) -> Callable[[Medians], float]:
    """Towpath's median minus another server's."""
    return lambda medians: medians["towpath"][figure] - medians[to][figure]


def own(figure: str) -> Callable[[Medians], float]:
    return lambda medians: medians["towpath"][figure]


def medians_of(samples: list[dict[str, float]]) -> dict[str, float]:
    """The median of each name over all samples that have it, names in order of their first appearance."""
    names = dict.fromkeys(name for sample in samples for name in sample)
    return {name: median(sample[name] for sample in samples if name in sample) for name in names}


def quantile(ordered: list[int], share: float) -> float:
    """The value below which `share` of an ordered, non-empty list lies."""
    return float(ordered[min(len(ordered) - 1, int(len(ordered) * share))])
