"""One row of the table, and what a sample of it is taken with."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import uvloop

from benchmarks import http_load
from benchmarks.deploys.fleet import Redis
from benchmarks.figures import Figure, Goal, Sample
from benchmarks.servers import COMPILED, Server, running


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything one sample takes."""

    seconds: float
    sockets: int
    mebibytes: int


@dataclass(frozen=True, slots=True)
class Terms:
    """What all samples of a run have in common."""

    size: Size
    profile: Path | None  #: a folder for pages of where the time of each Python process went
    redis: Redis  #: of the rows of the channel layer: all contestants use this one, one after the other


#: Takes one sample of a contestant, by its name.
Take = Callable[[str, Terms], Sample]
Load = Callable[[Server, Size], Awaitable[Sample]]


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    title: str
    unit: str  #: what one answer is, of which there are so many per second, and so many µs of CPU per each
    main: str  #: the name of the main figure
    take: Take
    goals: tuple[Goal, ...]
    contestants: tuple[str, ...] = ("towpath", "uvicorn", "daphne")
    base: str = "uvicorn"  #: the contestant that the main figures of all are shown as multiples of
    rounds_max: int | None = None  #: where a sample counts, or where there are many contestants; the title says it


RATE = "per second"


def both(
    text: str, least: float, aim: float, figure: Callable[[str], Figure], *, lower_is_better: bool = False
) -> tuple[Goal, Goal]:
    """The same goal for the interpreted core and for the compiled one. figure: that of a contestant."""
    return (
        Goal(text, figure("towpath"), least, aim, lower_is_better),
        Goal(f"{text}, {COMPILED}", figure(COMPILED), least, aim, lower_is_better),
    )


def served(app: str, load: Load) -> Take:
    """A server with `app` (`module:attribute` of the folder of the bench), under `load` from this process."""

    def take(contestant: str, terms: Terms) -> Sample:
        with running(contestant, app, terms.profile) as server:
            return uvloop.run(_loaded(load, server, terms.size))

    return take


def first_answer(app: str, question: bytes, body: bytes) -> Take:
    """A server with `app`, from its start to its first answer."""

    def take(contestant: str, terms: Terms) -> Sample:
        began = time.perf_counter()
        with running(contestant, app, terms.profile, settled=False) as server:
            uvloop.run(http_load.learn_answer(server.port, question, body))
            elapsed_s = time.perf_counter() - began
            server.look()
            return Sample({"s": elapsed_s}, {part: spent * 1e6 for part, spent in server.cpu_s().items()})

    return take


def memory(app: str, question: bytes, body: bytes) -> Take:
    """A server with `app` that has answered once: the resident memory of all of its processes, and of each part."""

    def take(contestant: str, terms: Terms) -> Sample:
        with running(contestant, app, terms.profile) as server:
            uvloop.run(http_load.learn_answer(server.port, question, body))
            server.look()
            parts = {f"MiB {part}": kib / 1024 for part, kib in server.rss_kib().items()}
            return Sample({"MiB all": sum(parts.values()), **parts})

    return take


async def _loaded(load: Load, server: Server, size: Size) -> Sample:
    return await load(server, size)
