"""What may never be, whatever was killed when; and what a blow excuses, and for whom.

A failure is excused only where a process fell that had a part in it: the worker that owned the connection, the interface
server that held its socket, the Redis that everything went through. What concerned nobody else must not have been felt.
Promises P1, P2, P3, P6, P7, P8 of PROTOCOL.md.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from tests.chaos.harm import Harm
from tests.chaos.outcomes import SURVIVES_DEATH, End, Ending, Exchange, Seen, Socket

STARTS_MAX = 3  #: a request whose owners die is started twice again
#: What the application (project/stage.py) answers.
PARTS = 10
LARGE_PARTS, LARGE_PART_SIZE_BYTES = 16, 50_000
HEARD_WITHIN_S = 2.0
#: Kinds of sockets, by what they may lose.
RESUMABLE = frozenset({"resumable", "member", "crash", "hesitant"})


def faults(seen: Seen, harm: Harm) -> list[str]:
    """All that was seen and may not be, each as one sentence."""
    pids = defaultdict[str, list[int]](list)
    for start in seen.starts:
        pids[start.name].append(start.pid)
    found = [
        f"{_called(exchange)}: {fault}"
        for exchange in seen.exchanges
        for fault in _exchange(exchange, pids[exchange.name], harm)
    ]
    found += [
        f"{_called(socket)}: {fault}" for socket in seen.sockets for fault in _socket(socket, pids[socket.name], harm)
    ]
    return found + _strangers(seen) + _instances(seen, harm) + _notes(seen, harm)


def _called(outcome: Exchange | Socket) -> str:
    ending = outcome.ending.name.lower()
    said = outcome.status or (outcome.code if isinstance(outcome, Socket) else None) or "nothing"
    kept = ", on a kept connection" if isinstance(outcome, Exchange) and outcome.reused else ""
    return f"{outcome.kind} {outcome.name} at interface server {outcome.interface} ({ending}, {said}{kept})"


# Exchanges


def _exchange(exchange: Exchange, pids: Sequence[int], harm: Harm) -> Iterator[str]:
    if exchange.ending is Ending.HUNG:
        yield "hangs"
    if exchange.ending is Ending.WHOLE and exchange.status == 200 and not _is_own(exchange):
        yield f"P2: got {exchange.body[:80]!r}, which is not its own"
    if exchange.ending is Ending.WHOLE and exchange.status == 200 and not pids:
        yield "was answered and never started"
    if not exchange.idempotent and len(pids) > 1:
        yield f"P3: was started {len(pids)} times, in {pids}"
    if exchange.idempotent and len(pids) > STARTS_MAX and not harm.redis_was_away:
        yield f"P3: was started {len(pids)} times, in {pids}"
    if not exchange.idempotent and exchange.status == 503 and pids:
        yield f"P3: was told to try again and had been started, in {pids}"
    if not _failure_is_excused(exchange, pids, harm):
        yield f"P6: failed, and nothing that it needed was harmed; started in {pids}"


def _is_own(exchange: Exchange) -> bool:
    return exchange.body == expected_body(exchange)


def expected_body(exchange: Exchange) -> bytes:
    """What only the application can have answered, and only to this request."""
    name = exchange.name.encode()
    if exchange.kind == "long":
        return b"".join(b"%s %d\n" % (name, number) for number in range(PARTS))
    if exchange.kind == "large":
        parts = (b"%s %d " % (name, number) for number in range(LARGE_PARTS))
        return b"".join(part.ljust(LARGE_PART_SIZE_BYTES, b".") for part in parts)
    if exchange.kind == "upload":
        return b"%s %s" % (name, hashlib.sha256(b"x" * exchange.sent_bytes).hexdigest().encode())
    return b"%s %d" % (name, exchange.sent_bytes)


def _failure_is_excused(exchange: Exchange, pids: Sequence[int], harm: Harm) -> bool:
    if exchange.ending is Ending.LEFT or (exchange.ending is Ending.WHOLE and exchange.status == 200):
        return True
    if exchange.ending is Ending.HUNG:  # was said already
        return True
    if harm.everything_fell or exchange.interface in harm.lost_interfaces:
        return True
    if exchange.ending is Ending.CUT and _was_out_of_time(exchange, pids, harm):
        return True
    if _met_nobody_in_time(exchange, pids, harm):
        return True
    if exchange.ending is Ending.RESET:
        return _was_not_read(exchange, pids, harm)
    if exchange.ending is Ending.CUT:
        return harm.redis_forgot or _was_lost(pids, harm)
    return STATUSES.get(exchange.status or 0, _never)(exchange, pids, harm)


def _was_out_of_time(exchange: Exchange, pids: Sequence[int], harm: Harm) -> bool:
    """Who leaves waits for a Redis that is away only as long as his time to leave lasts, and then ends what is left."""
    return (harm.redis_was_away and exchange.interface in harm.leaving_interfaces) or _could_not_say_goodbye(pids, harm)


def _could_not_say_goodbye(pids: Sequence[int], harm: Harm) -> bool:
    """The same of a worker: what it has not handed over when it must go is lost with it."""
    return harm.redis_was_long_away and bool(pids) and pids[-1] in harm.leaving_workers


def _met_nobody_in_time(exchange: Exchange, pids: Sequence[int], harm: Harm) -> bool:
    """Who leaves waits no longer than that for the other side, whose loop stands still: for credit, a body, or what is to be sent."""
    owner_leaves = bool(pids) and pids[-1] in harm.leaving_workers and exchange.interface in harm.blocked_interfaces
    waits = pids[-1] in harm.blocked_workers if pids else bool(harm.blocked_workers)
    interface_leaves = waits and exchange.interface in harm.leaving_interfaces
    ended = exchange.ending is Ending.CUT or (exchange.status == 502 and not exchange.idempotent)
    # One that a blocked worker was sent and has not begun: its client is told to try again, if two starts do no harm.
    cut_short = (exchange.status == 502 and bool(pids)) or (exchange.status == 503 and exchange.idempotent)
    return (owner_leaves and ended) or (interface_leaves and (ended or cut_short))


def _was_not_read(exchange: Exchange, pids: Sequence[int], harm: Harm) -> bool:
    """Who leaves ends connections that are idle, and a request may be on its way just then. It has not been started."""
    return exchange.reused and exchange.interface in harm.leaving_interfaces and not pids


def _never(_exchange: Exchange, _pids: Sequence[int], _harm: Harm) -> bool:
    return False


def _bad_gateway(exchange: Exchange, pids: Sequence[int], harm: Harm) -> bool:
    """502: what must not start twice has lost its owner; of the others, it takes three, or lost data. Or there was no more time."""
    if _was_out_of_time(exchange, pids, harm):
        return True
    if exchange.idempotent:
        return harm.redis_forgot or len(harm.lost_workers) >= STARTS_MAX
    if exchange.name in harm.not_begun and not pids:
        return harm.redis_was_away
    return harm.redis_was_away or _was_lost(pids, harm)


def _unavailable(_exchange: Exchange, _pids: Sequence[int], harm: Harm) -> bool:
    """503: nothing was queued. Who has a Redis is not told so; in these plays no queue is full, and none waits too long."""
    return harm.redis_was_away


#: 202 is the application's own word: whether its group was told is not known.
STATUSES: dict[int, Callable[[Exchange, Sequence[int], Harm], bool]] = {
    202: _unavailable,
    502: _bad_gateway,
    503: _unavailable,
}


def _was_lost(pids: Sequence[int], harm: Harm) -> bool:
    """Its last owner fell. Who was never started may have fallen into the hands of one who fell before he began."""
    return pids[-1] in harm.lost_workers if pids else bool(harm.lost_workers)


# Sockets


def _socket(socket: Socket, pids: Sequence[int], harm: Harm) -> Iterator[str]:
    if socket.ending is Ending.HUNG:
        yield f"hangs after {len(socket.echoes)} of {socket.sent} echoes"
    if socket.strange:
        yield f"P2: got {socket.strange[0]!r}, which is not its own"
    yield from _order(socket, harm)
    if not _end_is_excused(socket, pids, harm):
        yield f"P7: ended, and nothing that it needed was harmed; started in {pids}"


def _order(socket: Socket, harm: Harm) -> Iterator[str]:
    numbers = [number for number, _ in socket.echoes]
    if any(after <= before for before, after in pairwise(numbers)):
        yield f"P1: echoes are out of order or doubled: {numbers[-12:]}"
    if socket.greetings > 1:
        yield f"P1: was greeted {socket.greetings} times"
    gone = harm.lost_workers or (harm.redis_was_long_away and harm.leaving_workers)
    may_lose = socket.kind in SURVIVES_DEATH and gone
    if not may_lose and numbers != list(range(1, len(numbers) + 1)):
        yield f"P1: echoes are missing: {numbers[-12:]}"
    if not may_lose and any(number != count for number, count in socket.echoes):
        yield f"P1: the application counted otherwise: {socket.echoes[-12:]}"


def _end_is_excused(socket: Socket, pids: Sequence[int], harm: Harm) -> bool:
    if socket.ending in (Ending.WHOLE, Ending.LEFT, Ending.HUNG):
        return True
    if harm.everything_fell or socket.interface in harm.lost_interfaces:
        return True
    if socket.status is not None:
        return _handshake_is_excused(socket, harm)
    return socket.code == 1012 and _restart_is_excused(socket, pids, harm)


def _handshake_is_excused(socket: Socket, harm: Harm) -> bool:
    if socket.status == 503:
        return harm.redis_was_away or socket.interface in harm.leaving_interfaces
    return socket.status == 502 and (harm.redis_forgot or len(harm.lost_workers) >= STARTS_MAX)


def _restart_is_excused(socket: Socket, pids: Sequence[int], harm: Harm) -> bool:
    """1012: whoever owned it has gone, and nobody may take his place."""
    if socket.interface in harm.leaving_interfaces or (harm.redis_forgot and not _has_nothing_to_lose(socket, harm)):
        return True
    if socket.kind in SURVIVES_DEATH:
        return len(harm.lost_workers) >= STARTS_MAX
    if socket.kind in RESUMABLE:
        moved = bool(pids) and pids[-1] in harm.leaving_workers and bool(harm.lost_workers)
        return moved or _was_lost(pids, harm) or _could_not_say_goodbye(pids, harm)
    return bool(pids) and pids[-1] in harm.lost_workers | harm.leaving_workers


def _has_nothing_to_lose(socket: Socket, harm: Harm) -> bool:
    """An open socket without a word under way, and without a change of owner, does not need what Redis has forgotten."""
    return socket.silent and socket.greetings == 1 and not harm.lost_workers | harm.leaving_workers


# Instances


def _instances(seen: Seen, harm: Harm) -> list[str]:
    """P8: whoever could still be told was told exactly once that its client has gone."""
    waiting = {exchange.name for exchange in seen.exchanges if exchange.kind == "hold"}
    waiting |= {socket.name for socket in seen.sockets}
    told = Counter((end.pid, end.instance) for end in seen.ends)
    found = []
    for start in seen.starts:
        times = told[start.pid, start.instance]
        may_be_untold = start.pid in harm.killed or harm.everything_fell
        if start.name in waiting and times != 1 and not (times == 0 and may_be_untold):
            found.append(
                f"P8: instance {start.instance} of {start.name} in {start.pid} was told {times} times of its end"
            )
    return found + [f"P8: {fault}" for end in seen.ends for fault in _code(end)]


def _code(end: End) -> Iterator[str]:
    if end.code not in (0, 1000, 1001, 1005, 1006, 1012):
        yield f"instance {end.instance} of {end.name} in {end.pid} was told {end.code}"


def _strangers(seen: Seen) -> list[str]:
    known = {outcome.name for outcome in (*seen.exchanges, *seen.sockets)}
    return [
        f"P2: {start.name} was started in {start.pid}, and no client has asked for it"
        for start in seen.starts
        if start.name not in known
    ]


# Groups


def _notes(seen: Seen, harm: Harm) -> list[str]:
    """P10: whoever had joined before something was told has heard it once, whoever owned it meanwhile."""
    told = [exchange for exchange in seen.exchanges if exchange.kind == "tell"]
    found = []
    for socket in (socket for socket in seen.sockets if socket.kind == "member"):
        heard = Counter(socket.notes)
        found += [f"P10: {_called(socket)} heard {name} {times} times" for name, times in heard.items() if times > 1]
        if not harm.redis_was_away and socket.interface not in harm.lost_interfaces and not harm.everything_fell:
            missed = [exchange.name for exchange in told if _must_hear(socket, exchange) and not heard[exchange.name]]
            found += [f"P10: {_called(socket)} has not heard {name}" for name in missed]
    return found


def _must_hear(socket: Socket, exchange: Exchange) -> bool:
    published = exchange.ending is Ending.WHOLE and exchange.status == 200
    joined = socket.greeted_s is not None and socket.greeted_s < exchange.began_s
    return published and joined and exchange.ended_s + HEARD_WITHIN_S < socket.ended_s
