"""Samples, their medians, and the goals that they are held against. Values in, values out.

A sample is what one server did in one round of one row. The first of its figures is the row's main one. A ratio is that
of two medians of the same run, so that a reader can check it from the table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

CLIENT = "client"  #: the part of a run that is not the server's
CPU_ALL = "CPU µs all"

Medians = dict[str, dict[str, float]]  #: server to figure's name to its median
Figure = Callable[[Medians], float]  #: raises KeyError where a server or a figure is missing from this run


@dataclass(frozen=True, slots=True)
class Sample:
    figures: dict[str, float]
    #: part (interface, worker, …, client) to µs per unit of work
    cpu_us: dict[str, float] = field(default_factory=dict)

    @property
    def with_cpu(self) -> dict[str, float]:
        """Its figures, and the CPU of all processes but the client for one unit of work, where that was measured."""
        all_us = sum(spent for part, spent in self.cpu_us.items() if part != CLIENT)
        return self.figures | {CPU_ALL: all_us} if all_us else self.figures


@dataclass(frozen=True, slots=True)
class Goal:
    """One line of what is to be reached, as a function of a row's medians."""

    text: str
    figure: Figure
    least: float
    aim: float | None = None
    lower_is_better: bool = False

    def reached(self, value: float, limit: float) -> bool:
        return value <= limit if self.lower_is_better else value >= limit


def ratio(figure: str, to: str, contestant: str = "towpath") -> Figure:
    """A contestant's median as a multiple of another server's."""
    return lambda medians: medians[contestant][figure] / medians[to][figure]


def best_ratio(figure: str, of: Sequence[str], contestant: str = "towpath") -> Figure:
    """A contestant's median as a multiple of the best median of several others, each of which must have been measured."""
    return lambda medians: medians[contestant][figure] / max(medians[other][figure] for other in of)


def added(figure: str, to: str, contestant: str = "towpath") -> Figure:
    """A contestant's median minus another server's."""
    return lambda medians: medians[contestant][figure] - medians[to][figure]


def own(figure: str, contestant: str = "towpath") -> Figure:
    return lambda medians: medians[contestant][figure]


def medians_of(samples: list[dict[str, float]]) -> dict[str, float]:
    """The median of each name over all samples that have it, names in order of their first appearance."""
    names = dict.fromkeys(name for sample in samples for name in sample)
    return {name: median(sample[name] for sample in samples if name in sample) for name in names}


def quantile(ordered: list[int], share: float) -> float:
    """The value below which `share` of an ordered, non-empty list lies."""
    return float(ordered[min(len(ordered) - 1, int(len(ordered) * share))])
