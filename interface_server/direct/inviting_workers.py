"""The workers that have invited an interface server to send them requests directly, and the choice among them.

A request goes to the worker that had the last one of its client, as long as that has room and not many more requests than another
(applications that keep state in memory depend on it); else to the worker with the fewest. A worker that has not acknowledged a request
for RECALL_S *stalls*: it gets no further ones until it has acknowledged all, and what it has not begun is asked back if another worker
has room. After TAKE_BACK_S without an answer it is taken back, as far as it may start twice.

A worker that invites for nothing and has free places all the same *rests*: its application has blocked its event loop lately. While any
worker rests, only idle ones are sent requests directly, since the application of the others may block them too, and the shared channel
leads to the workers that rest.

No clock here: the caller passes `now` (monotonic, seconds). PROTOCOL.md, "Invitations"; P2, P3.
"""

from __future__ import annotations

from typing import Final

RECALL_S: Final = 0.02
TAKE_BACK_S: Final = 0.25
#: A client stays with a worker that has at most so many requests, or so many times those of the worker with the fewest.
REQUESTS_MIN: Final = 4
REQUESTS_FACTOR: Final = 2


class InvitingWorker:
    """One worker. `unbegun`: the requests that it has not acknowledged, by number, with the time at which each was sent.

    `uncertain`: those of which the acknowledgement may be lost with Redis' data. `once`: those of the unbegun that may start only once.
    """

    __slots__ = (
        "asked_back",
        "chosen_at",
        "last",
        "name",
        "once",
        "quota",
        "requests",
        "rests",
        "stalls",
        "unbegun",
        "uncertain",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.quota = 0  #: how many it takes beyond `last`
        self.rests = False  #: it takes requests from the shared channel alone
        self.last = 0  #: the number of the last request that it has acknowledged
        self.requests = 0  #: those that it has got directly and that are not over
        self.chosen_at = 0  #: the position of the last choice of this worker among all choices
        self.unbegun: dict[int, float] = {}
        self.uncertain: set[int] = set()
        self.asked_back: set[int] = set()  #: of the unbegun
        self.once: set[int] = set()
        self.stalls = False

    @property
    def takes_more(self) -> bool:
        """True if it takes one more request now."""
        return len(self.unbegun) < self.quota and not self.stalls

    @property
    def could_take_more(self) -> bool:
        """True if it takes one more request now, by whichever way."""
        return self.takes_more or (self.rests and not self.stalls)

    def comes_before(self, other: InvitingWorker) -> bool:
        """True if it has fewer requests than `other`, or as many and was chosen longer ago."""
        if self.requests == other.requests:
            return self.chosen_at < other.chosen_at
        return self.requests < other.requests

    def sent(self, number: int, now: float, may_start_twice: bool) -> None:
        """Record a request that is sent to it."""
        self.unbegun[number] = now
        self.requests += 1
        if not may_start_twice:
            self.once.add(number)

    def forget(self, number: int) -> None:
        """Forget an unbegun request: it is acknowledged, or over."""
        del self.unbegun[number]
        self.once.discard(number)
        self.asked_back.discard(number)

    @property
    def open_requests(self) -> list[tuple[int, float]]:
        """The unbegun requests that may still be asked or taken back, each with the time at which it was sent."""
        done = self.asked_back & self.once if self.asked_back else ()
        return [item for item in self.unbegun.items() if item[0] not in done]


class InvitingWorkers:
    """All such workers of one interface server, by name."""

    __slots__ = ("_any_rests", "_choices", "by_name")

    def __init__(self) -> None:
        self.by_name: dict[str, InvitingWorker] = {}
        self._choices = 0
        self._any_rests = False

    def invited(self, name: str, quota: int, last: int, has_places: bool = False) -> bool:
        """Record an invitation. has_places: see `packets.invite`. Returns True if it is the first one of this worker."""
        worker = self.by_name.get(name)
        is_new = worker is None
        if worker is None:
            worker = self.by_name[name] = InvitingWorker(name)
        worker.quota = quota
        rests = has_places and not quota
        if rests is not worker.rests:
            worker.rests = rests
            self._any_rests = any(each.rests for each in self.by_name.values())
        worker.last = max(last, worker.last)
        unbegun = worker.unbegun
        while unbegun and (number := next(iter(unbegun))) <= worker.last:
            worker.forget(number)
        if not unbegun:
            worker.stalls = False
        return is_new

    def choose(self, previous: str) -> InvitingWorker | None:
        """The worker for the next request of a client; None: the shared channel. previous: the worker of its last one, or empty."""
        worker = self.by_name.get(previous)
        if worker is not None and not worker.takes_more:
            worker = None
        if worker is not None and worker.requests <= (0 if self._any_rests else REQUESTS_MIN):
            return worker  # no other could be much better
        chosen = worker
        for each in self.by_name.values():
            if each is not worker and each.takes_more and (chosen is None or each.comes_before(chosen)):
                chosen = each
        if chosen is None or (chosen.requests and self._any_rests):
            return None
        if worker is not None and worker.requests <= REQUESTS_FACTOR * chosen.requests:
            return worker
        self._choices += 1
        chosen.chosen_at = self._choices
        return chosen

    def over(self, name: str, number: int) -> None:
        """A request that was sent directly is over at this worker."""
        worker = self.by_name.get(name)
        if worker is not None:
            worker.requests -= 1
            worker.uncertain.discard(number)
            if number in worker.unbegun:
                worker.forget(number)

    def is_unbegun(self, name: str, number: int) -> bool:
        """True if this worker has not acknowledged this request in anything that was read, and no acknowledgement was lost."""
        worker = self.by_name.get(name)
        return worker is not None and number in worker.unbegun

    def may_be_unbegun(self, name: str, number: int) -> bool:
        """The same, or its acknowledgement may have been lost."""
        worker = self.by_name.get(name)
        return worker is not None and (number in worker.unbegun or number in worker.uncertain)

    def left(self, name: str) -> None:
        """Forget a worker that is dead or has left."""
        self.by_name.pop(name, None)
        self._any_rests = any(each.rests for each in self.by_name.values())

    def acknowledged_all(self) -> None:
        """Count all requests as begun: acknowledgements may have been lost with Redis' data."""
        for worker in self.by_name.values():
            worker.uncertain.update(worker.unbegun)
            worker.unbegun.clear()
            worker.once.clear()
            worker.asked_back.clear()
            worker.stalls = False

    @property
    def inviting_count(self) -> int:
        """The number of workers that invite at present."""
        return sum(worker.quota > 0 for worker in self.by_name.values())

    @property
    def any_open(self) -> bool:
        """True if any request may still be asked or taken back. One that may start only once is asked back and then awaited."""
        return any(worker.open_requests for worker in self.by_name.values())

    def any_late(self, now: float) -> bool:
        """True if a worker has not acknowledged such a request for RECALL_S."""
        return any(now - sent > RECALL_S for worker in self.by_name.values() for _, sent in worker.open_requests)

    def to_recall(self, now: float) -> tuple[list[int], list[int]]:
        """The numbers of the requests to ask back now, each once, and of those to take back. Workers that are late stall from now on."""
        late = [
            (each, *item) for each in self.by_name.values() for item in each.open_requests if now - item[1] > RECALL_S
        ]
        for worker, _, _ in late:
            worker.stalls = True
        if not any(worker.could_take_more for worker in self.by_name.values()):
            return [], []
        ask = [(worker, number) for worker, number, _ in late if number not in worker.asked_back]
        take = [number for worker, number, sent in late if number in worker.asked_back and now - sent > TAKE_BACK_S]
        for worker, number in ask:
            worker.asked_back.add(number)
        return [number for _, number in ask], take
