"""The table of all plays: who is hit, how, and when.

The load of every play has connections in each state at once: queued (there are more clients than slots), owned before the
first byte, in mid-response, silent and echoing sockets. So a blow at any moment meets all of them. The moments that last too
short for that are held open first.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from random import Random

from tests.chaos.harm import Action, Victim


class Moment(Enum):
    """When the blow comes."""

    ANY = auto()
    QUEUED = auto()  # no worker moves, and the queue has grown
    READ = auto()  # a worker has read entries, and not taken them
    SENT = auto()  # requests that were sent to a worker directly are in its inbox, and it has not read them
    TAKEN = auto()  # the application has begun, and nothing of the response has gone out
    FIRST_BYTE = auto()  # the client has the first byte of the response, and the rest does not come
    HANDED = auto()  # a worker has let go of its sockets, and nobody has adopted them yet
    ADOPTED = auto()  # the next worker has adopted them, and said nothing yet


@dataclass(frozen=True, slots=True)
class Step:
    """One blow, so long after the one before, in seconds: drawn from 0 up to this."""

    victim: Victim
    action: Action
    within_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """One play."""

    name: str
    moment: Moment
    steps: tuple[Step, ...]
    served: bool = False  #: by one `towpath serve`, and not by processes of our own
    watched: bool = False  #: its Redis are several servers, and a Sentinel
    direct: bool = False  #: workers have free places, and are sent requests directly; else most wait for a place
    drawn: int = 0  #: so many steps more, whatever the seed says


W, D, R, P, SUPERVISOR, SERVE = Victim
KILL, FREEZE, TERM, BLOCK, SEVER, FILL, DEMOTE, MOVE, RELOAD = Action

#: What may be drawn, and how long after the one before.
DRAWN = (
    *((victim, action) for victim in (W, D, R) for action in (KILL, FREEZE, TERM, BLOCK)),
    *((W, KILL), (W, TERM), (R, SEVER), (R, SEVER), (R, FILL), (R, DEMOTE)),
)
DRAWN_WITHIN_S = 3.0


def steps_of(scenario: Scenario, random: Random) -> tuple[Step, ...]:
    """All steps of one performance."""
    return scenario.steps + tuple(Step(*random.choice(DRAWN), DRAWN_WITHIN_S) for _ in range(scenario.drawn))


#: What falls at each of the moments that are held open. There are two workers and two interface servers, so that of each play some
#: connections have a part in nothing. A loop that is blocked excuses next to nothing, so it stands beside whom the other blow freezes.
AT_EACH_MOMENT = (
    (Step(W, KILL, 0.0), Step(D, KILL, 0.0)),
    (Step(R, KILL, 0.0),),
    (Step(R, FREEZE, 0.0),),
    (Step(W, FREEZE, 0.0), Step(D, BLOCK, 0.0)),
    (Step(D, FREEZE, 0.0), Step(W, BLOCK, 0.0)),
    (Step(W, TERM, 0.0), Step(D, TERM, 0.0)),
)
HELD_OPEN = (Moment.QUEUED, Moment.READ, Moment.TAKEN, Moment.FIRST_BYTE, Moment.HANDED, Moment.ADOPTED, Moment.SENT)


def _at(moment: Moment, steps: tuple[Step, ...]) -> Scenario:
    blows = "-".join(f"{step.victim.name}-{step.action.name}" for step in steps)
    return Scenario(f"{moment.name}-{blows}".lower().replace("_", "-"), moment, steps, direct=moment is Moment.SENT)


def _any(name: str, *steps: Step) -> Scenario:
    return Scenario(name, Moment.ANY, steps)


def _served(name: str, *steps: Step, direct: bool = False) -> Scenario:
    return Scenario(name, Moment.ANY, steps, served=True, direct=direct)


def _watched(name: str, *steps: Step) -> Scenario:
    return Scenario(name, Moment.ANY, steps, watched=True)


SCENARIOS = (
    _any("worker-kill", Step(W, KILL), Step(W, KILL, 2.0)),
    _any("worker-kill-both-at-once", Step(W, KILL), Step(W, KILL, 0.01)),
    _any("worker-term", Step(W, TERM), Step(W, TERM, 3.0)),
    _any("worker-term-and-kill", Step(W, TERM), Step(W, KILL, 0.5)),
    _any("worker-freeze-and-term", Step(W, FREEZE), Step(W, TERM, 2.0)),
    _any("interface-kill", Step(D, KILL), Step(D, KILL, 3.0)),
    _any("interface-and-worker-kill", Step(D, KILL), Step(W, KILL, 0.3)),
    _any("interface-freeze-and-worker-kill", Step(D, FREEZE), Step(W, KILL, 7.5)),
    _any("redis-kill", Step(R, KILL)),
    _any("redis-term", Step(R, TERM), Step(R, KILL, 1.0)),
    _any("redis-pause", Step(R, BLOCK)),
    _any("redis-sever", Step(R, SEVER), Step(R, SEVER, 0.5), Step(R, SEVER, 2.0)),
    _any("redis-full", Step(R, FILL), Step(R, FILL, 3.0)),
    _any("redis-replica", Step(R, DEMOTE), Step(R, DEMOTE, 2.0)),
    _any("redis-full-and-worker-kill", Step(R, FILL), Step(W, KILL, 2.0)),
    _any("redis-replica-and-worker-term", Step(R, DEMOTE), Step(W, TERM, 1.0)),
    _any("redis-kill-and-worker-kill", Step(R, KILL), Step(W, KILL, 1.0)),
    _any("redis-kill-and-worker-term", Step(R, KILL), Step(W, TERM, 1.0)),
    _any("redis-sever-and-worker-term", Step(W, TERM), Step(R, SEVER, 0.3), Step(R, SEVER, 0.3)),
    *(_at(moment, steps) for moment in HELD_OPEN for steps in AT_EACH_MOMENT),
    Scenario("queued-redis-sever", Moment.QUEUED, (Step(R, SEVER),)),
    Scenario("queued-redis-full", Moment.QUEUED, (Step(R, FILL),)),
    Scenario("queued-redis-replica", Moment.QUEUED, (Step(R, DEMOTE),)),
    Scenario("handed-redis-sever", Moment.HANDED, (Step(R, SEVER, 0.0),)),
    Scenario("handed-redis-full", Moment.HANDED, (Step(R, FILL, 0.0),)),
    Scenario("adopted-redis-sever", Moment.ADOPTED, (Step(R, SEVER, 0.0),)),
    _watched("primary-kill", Step(P, KILL)),
    _watched("primary-freeze", Step(P, FREEZE)),
    _watched("primary-move", Step(P, MOVE)),
    _watched("primary-sever-and-move", Step(P, SEVER), Step(P, MOVE, 1.0)),
    _watched("primary-kill-and-worker-kill", Step(P, KILL), Step(W, KILL, 3.0)),
    _watched("primary-move-and-worker-term", Step(P, MOVE), Step(W, TERM, 3.0)),
    _watched("primary-freeze-and-interface-kill", Step(P, FREEZE), Step(D, KILL, 3.0)),
    Scenario("queued-primary-kill", Moment.QUEUED, (Step(P, KILL),), watched=True),
    Scenario("queued-primary-move", Moment.QUEUED, (Step(P, MOVE),), watched=True),
    Scenario("handed-primary-kill", Moment.HANDED, (Step(P, KILL, 0.0),), watched=True),
    Scenario("adopted-primary-move", Moment.ADOPTED, (Step(P, MOVE, 0.0),), watched=True),
    Scenario("sent-worker-kill", Moment.SENT, (Step(W, KILL, 0.1),), direct=True),
    Scenario(
        "sent-workers-block-interface-term",
        Moment.SENT,
        (Step(W, BLOCK, 0.0), Step(W, BLOCK, 0.0), Step(D, TERM, 0.0)),
        direct=True,
    ),
    _served("direct-served-reload", Step(SERVE, RELOAD), direct=True),
    _served("served-reload", Step(SERVE, RELOAD)),
    _served("served-reload-and-worker-kill", Step(SERVE, RELOAD), Step(W, KILL, 4.0)),
    _served("served-kills", Step(W, KILL), Step(D, KILL, 2.0), Step(R, KILL, 3.0)),
    _served("serve-kill", Step(SERVE, KILL)),
    _served("supervisor-kill", Step(SUPERVISOR, KILL)),
    _served("supervisor-freeze", Step(SUPERVISOR, FREEZE), Step(W, KILL, 1.0)),
    *(Scenario(f"drawn-{number}", Moment.ANY, (), drawn=3) for number in range(1, 5)),
)
