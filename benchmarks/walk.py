"""Follows one request through the code: the files that a reader has to visit, in their order. `python -m benchmarks.walk`

* A *stay* is a file that is entered by a call and calls into another file in its turn, or reads or writes a socket. A function that only
  answers its caller (a predicate, a constructor, a codec) is no stay: a reader need not go there.
* A *return* is a stay in a file that this request was in before.

One client, one interface server, one worker; `hello` over a kept connection. The counts are those of most requests.
"""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.http_load import asked, get
from benchmarks.servers import free_port, own_folder, started, towpath

SECONDS = 3.0
RECORDER = Path(__file__).parent / "call_recorder"
#: The functions that read and write sockets.
SOCKETS = ("Transport.write", "RedisConnection.call", "RedisConnection.data_received")
#: The first function of a request in each process.
BEGINNINGS = {"interface": ".dataReceived", "worker": "ChannelReader._hand_over"}
#: No request makes so many calls: a call with more below it is a loop, or the whole program.
CALLS_MAX = 1000


@dataclass
class Call:
    """One call, and the calls that it made."""

    file: str
    function: str
    calls: list[Call] = field(default_factory=list)

    @property
    def size(self) -> int:
        return 1 + sum(call.size for call in self.calls)

    @property
    def goes_on(self) -> bool:
        """True if the way leads through it: to another file, or to a socket."""
        return self.function in SOCKETS or any(call.file != self.file or call.goes_on for call in self.calls)


def calls_of(lines: list[str]) -> list[Call]:
    """The calls of a recorded page, without those that last longer than a request."""
    top = Call("", "")
    under_way = [top]
    for line in lines:
        kind, file, function = line.split(" ", 2)
        if kind == "c":
            call = Call(file, function)
            under_way[-1].calls.append(call)
            under_way.append(call)
        elif any((call.file, call.function) == (file, function) for call in under_way[1:]):
            while (call := under_way.pop()).file != file or call.function != function:
                pass  # the return of an inner call was not recorded
    return list(_short(top.calls))


def _short(calls: list[Call]) -> Iterator[Call]:
    for call in calls:
        if call.size > CALLS_MAX:
            yield from _short(call.calls)
        else:
            yield call


def has(call: Call, function: str) -> bool:
    return call.function.endswith(function) or any(has(inner, function) for inner in call.calls)


def stays_of(calls: list[Call]) -> list[str]:
    """The stays of one request: `file function`, the latter being the one that is entered."""
    stays: list[Call] = []
    _follow(calls, "", stays)
    return [f"{stay.file} {stay.function}" for stay in stays]


def _follow(calls: list[Call], caller: str, stays: list[Call]) -> None:
    for call in calls:
        if call.goes_on or call.file == caller:
            if call.goes_on and (not stays or stays[-1].file != call.file):
                stays.append(call)
            _follow(call.calls, call.file, stays)


def returns_in(stays: list[str]) -> int:
    files = [stay.split(" ")[0] for stay in stays]
    return len(files) - len(set(files))


def usual(calls: list[Call], beginning: str) -> list[str]:
    """The stays of most requests, each of which begins with a call that has `beginning` in it."""
    begun = [number for number, call in enumerate(calls) if has(call, beginning)]
    requests = [tuple(stays_of(calls[one:next_one])) for one, next_one in itertools.pairwise(begun)]
    return list(Counter(requests).most_common(1)[0][0])


def record(folder: Path) -> dict[str, list[Call]]:
    """Let one client ask for some seconds. Returns the calls of each part that runs requests."""
    with own_folder() as place:
        port = free_port()
        environment = {"PYTHONPATH": str(RECORDER), "BENCH_CALLS": str(folder)}
        with started(towpath("apps:hello", port, place), port, place, environment) as server:
            asyncio.run(asked(server, SECONDS, connections=1, question=get("/"), body=b"Hello, world!"))
            server.look()
            parts = {part: pid for pid, part in server.members.items()}
    return {part: calls_of((folder / f"{parts[part]}.txt").read_text().splitlines()) for part in BEGINNINGS}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        recorded = record(Path(folder))
    stays = [stay for part, beginning in BEGINNINGS.items() for stay in usual(recorded[part], beginning)]
    print("\n".join(stays))
    print(f"{len(stays)} stays in {len({stay.split(' ')[0] for stay in stays})} files, {returns_in(stays)} returns")


if __name__ == "__main__":
    main()
