"""The judge can say no: each thing that may never be, and each excuse beside one that does not count."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.chaos.harm import Action, Blow, Harm, Victim
from tests.chaos.judge import PARTS, faults
from tests.chaos.outcomes import End, Ending, Exchange, Seen, Socket, Start

POST = Exchange("quick-1", "POST", "quick", 0, Ending.WHOLE, 200, b"quick-1 10", 10)
GET = replace(POST, method="GET")
LONG = Exchange("long-1", "GET", "long", 0, Ending.WHOLE, 200, b"".join(b"long-1 %d\n" % part for part in range(PARTS)))
SOCKET = Socket("plain-1", "plain", 0, Ending.WHOLE, greetings=1, sent=2, echoes=((1, 1), (2, 2)))
CLOSED = replace(SOCKET, ending=Ending.CLOSED, code=1012)
A, B = 101, 102


def harm(*blows: tuple[Victim, Action, int], interface: int | None = None) -> Harm:
    return Harm(tuple(Blow(victim, action, pid, interface) for victim, action, pid in blows))


PEACE = harm()
WORKER_KILLED = harm((Victim.WORKER, Action.KILL, A))
WORKER_LEAVES = harm((Victim.WORKER, Action.TERM, A))
REDIS_FORGOT = harm((Victim.REDIS, Action.KILL, 1))
REDIS_AWAY = harm((Victim.REDIS, Action.FREEZE, 1))
INTERFACE_KILLED = harm((Victim.INTERFACE, Action.KILL, 2), interface=0)
INTERFACE_LEAVES = harm((Victim.INTERFACE, Action.TERM, 2), interface=0)


def judged(outcome: Exchange | Socket, harm: Harm, *pids: int, ends: tuple[End, ...] | None = None) -> list[str]:
    """What the judge says of one outcome, whose application was started in `pids`, one instance each."""
    starts = tuple(Start(outcome.name, pid, number) for number, pid in enumerate(pids, 1))
    if ends is None:
        ends = tuple(End(start.name, start.pid, start.instance, 1000) for start in starts)
    kinds = ((outcome,), ()) if isinstance(outcome, Exchange) else ((), (outcome,))
    return faults(Seen(*kinds, starts, ends), harm)


@pytest.mark.parametrize("outcome", [POST, GET, LONG, SOCKET], ids=lambda outcome: outcome.name)
def test_what_went_well_is_no_fault(outcome: Exchange | Socket) -> None:
    """Whatever was done to others."""
    for done in (PEACE, WORKER_KILLED, REDIS_FORGOT, INTERFACE_KILLED):
        assert judged(outcome, done, B) == []


ALWAYS = {
    "P3: a POST was started twice": (POST, (A, B)),
    "P3: a GET was started too often": (GET, (A, B, A, B)),
    "P3: a POST was told to try again and had been started": (replace(POST, status=503), (A,)),
    "P2: the answer is another's": (replace(POST, body=b"quick-2 10"), (A,)),
    "P2: a part is missing": (replace(LONG, body=LONG.body[:20]), (A,)),
    "P6: an exchange hangs": (replace(GET, ending=Ending.HUNG, status=None), (A,)),
    "P6: an internal error": (replace(GET, status=500), (A,)),
    "it was answered and never started": (GET, ()),
    "P6: a socket hangs": (replace(SOCKET, ending=Ending.HUNG), (A,)),
    "P1: an echo is doubled": (replace(SOCKET, echoes=((1, 1), (1, 2), (2, 3))), (A,)),
    "P1: echoes are out of order": (replace(SOCKET, echoes=((2, 1), (1, 2))), (A,)),
    "P1: an echo is missing": (replace(SOCKET, echoes=((2, 2),)), (A,)),
    "P1: it counts otherwise": (replace(SOCKET, echoes=((1, 1), (2, 3))), (A,)),
    "P1: it was greeted twice": (replace(SOCKET, greetings=2), (A,)),
    "P2: it heard what was another's": (replace(SOCKET, strange=("plain-2 1 1",)), (A,)),
    "P7: it was closed with another code": (replace(CLOSED, code=1011), (A,)),
}


@pytest.mark.parametrize("what", ALWAYS)
@pytest.mark.parametrize("done", [PEACE, WORKER_KILLED], ids=["in peace", "after a death"])
def test_what_may_never_be_is_found(what: str, done: Harm) -> None:
    """No blow at a worker excuses it."""
    outcome, pids = ALWAYS[what]
    assert judged(outcome, done, *pids)


#: What happened, who ran it, what excuses it, and what does not.
EXCUSES = {
    "a POST whose worker died": (replace(POST, status=502), A, WORKER_KILLED, WORKER_LEAVES),
    "a POST whose open has no answer": (replace(POST, status=502), None, REDIS_AWAY, INTERFACE_LEAVES),
    "a GET that was lost with the data": (replace(GET, status=502), A, REDIS_FORGOT, WORKER_KILLED),
    "a request while Redis is away": (replace(GET, status=503), None, REDIS_AWAY, WORKER_KILLED),
    "a response whose worker died": (replace(LONG, ending=Ending.CUT), A, WORKER_KILLED, WORKER_LEAVES),
    "a response that was lost with the data": (replace(LONG, ending=Ending.CUT), A, REDIS_FORGOT, REDIS_AWAY),
    "a POST on a kept connection whose interface server left just then": (
        replace(POST, ending=Ending.RESET, status=None, reused=True), None, INTERFACE_LEAVES, PEACE,
    ),
    "a GET whose interface server left, and could not wait any longer for Redis": (
        replace(GET, status=502), None,
        harm((Victim.INTERFACE, Action.TERM, 2), (Victim.REDIS, Action.KILL, 1), interface=0), INTERFACE_LEAVES,
    ),
    "a response whose interface server left, and could not wait any longer for Redis": (
        replace(LONG, ending=Ending.CUT), A,
        harm((Victim.INTERFACE, Action.TERM, 2), (Victim.REDIS, Action.FREEZE, 1), interface=0), REDIS_AWAY,
    ),
    "a response whose worker left, and could not wait any longer for Redis": (
        replace(LONG, ending=Ending.CUT), A,
        harm((Victim.WORKER, Action.TERM, A), (Victim.REDIS, Action.DEMOTE, 1)),
        harm((Victim.WORKER, Action.TERM, A), (Victim.REDIS, Action.SEVER, 1)),
    ),
    "a socket that may move, whose worker left, and could not wait any longer for Redis": (
        replace(CLOSED, kind="resumable"), A,
        harm((Victim.WORKER, Action.TERM, A), (Victim.REDIS, Action.FREEZE, 1)),
        harm((Victim.WORKER, Action.TERM, A), (Victim.REDIS, Action.SEVER, 1)),
    ),
    "a response whose worker left while the loop of its interface server stood still": (
        replace(LONG, ending=Ending.CUT), A,
        harm((Victim.INTERFACE, Action.BLOCK, 2), (Victim.WORKER, Action.TERM, A), interface=0), WORKER_LEAVES,
    ),
    "a response whose interface server left while the loop of its worker stood still": (
        replace(LONG, ending=Ending.CUT), A,
        harm((Victim.WORKER, Action.BLOCK, A), (Victim.INTERFACE, Action.TERM, 2), interface=0), INTERFACE_LEAVES,
    ),
    "a GET that was sent to a worker whose loop stood still, and whose interface server left": (
        replace(GET, status=503), None,
        harm((Victim.WORKER, Action.BLOCK, A), (Victim.INTERFACE, Action.TERM, 2), interface=0), INTERFACE_LEAVES,
    ),
    "a POST that was sent to a worker whose loop stood still, and whose interface server left": (
        replace(POST, status=502), None,
        harm((Victim.WORKER, Action.BLOCK, A), (Victim.INTERFACE, Action.TERM, 2), interface=0), INTERFACE_LEAVES,
    ),
    "a client whose interface server died": (
        replace(GET, ending=Ending.RESET, status=None), None, INTERFACE_KILLED, INTERFACE_LEAVES,
    ),
    "a socket whose worker died": (CLOSED, A, WORKER_KILLED, REDIS_AWAY),
    "a socket whose worker left": (CLOSED, A, WORKER_LEAVES, PEACE),
    "a socket that may not move, though its worker only left": (
        replace(CLOSED, kind="resumable"), A, WORKER_KILLED, WORKER_LEAVES,
    ),
    "a socket that survives a death": (replace(CLOSED, kind="crash"), A, INTERFACE_LEAVES, WORKER_KILLED),
    "a silent socket": (replace(CLOSED, silent=True), A, INTERFACE_LEAVES, REDIS_FORGOT),
    "a socket whose interface server left": (CLOSED, A, INTERFACE_LEAVES, REDIS_AWAY),
    "a socket whose interface server died": (
        replace(SOCKET, ending=Ending.RESET), A, INTERFACE_KILLED, WORKER_KILLED,
    ),
    "a handshake while Redis is away": (replace(SOCKET, ending=Ending.CLOSED, status=503), None, REDIS_AWAY, WORKER_KILLED),
    "packets were lost of what was forwarded to a worker that left, and could not hand it over": (
        replace(SOCKET, kind="crash", echoes=((1, 1), (3, 2))), A,
        harm((Victim.WORKER, Action.TERM, A), (Victim.REDIS, Action.KILL, 1)),
        harm((Victim.WORKER, Action.TERM, A), (Victim.REDIS, Action.SEVER, 1)),
    ),
    "packets were lost of what was forwarded to the dead": (
        replace(SOCKET, kind="crash", echoes=((1, 1), (3, 2))), A, WORKER_KILLED, WORKER_LEAVES,
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", EXCUSES)
def test_only_the_right_blow_excuses(what: str) -> None:
    """A failure is excused where a process fell that had a part in it; what concerned others does not count."""
    outcome, pid, enough, not_enough = EXCUSES[what]
    pids = () if pid is None else (pid,)
    assert judged(outcome, enough, *pids) == []
    assert judged(outcome, not_enough, *pids)


def test_what_got_no_answer_may_not_have_been_started_nor_been_asked_on_a_new_connection() -> None:
    """P3. Only a connection that was idle may end without a word, and only for what nobody has read."""
    nothing = replace(POST, ending=Ending.RESET, status=None, reused=True)
    assert judged(nothing, INTERFACE_LEAVES) == []
    assert judged(nothing, INTERFACE_LEAVES, A)
    assert judged(replace(nothing, reused=False), INTERFACE_LEAVES)


def test_a_fail_over_excuses_what_a_loss_of_data_does() -> None:
    """What the next primary lacks ends visibly; connections that were cut alone lose nothing."""
    lost = replace(GET, status=502)
    for action in (Action.KILL, Action.FREEZE, Action.MOVE):
        assert judged(lost, harm((Victim.PRIMARY, action, 1)), A) == []
    assert judged(lost, harm((Victim.PRIMARY, Action.SEVER, 1)), A)
    for action in (Action.FILL, Action.DEMOTE):
        assert judged(lost, harm((Victim.REDIS, action, 1)), A)
        assert judged(replace(GET, status=503), harm((Victim.REDIS, action, 1))) == []


def test_the_death_of_one_worker_does_not_excuse_what_another_had_in_hands() -> None:
    """P6. Only those in the dead worker's hands."""
    assert judged(replace(POST, status=502), WORKER_KILLED, A) == []
    assert judged(replace(POST, status=502), WORKER_KILLED, B)
    assert judged(CLOSED, WORKER_KILLED, B)


def test_the_death_of_one_interface_server_is_not_felt_at_the_other() -> None:
    """Its sockets are its own."""
    assert judged(replace(GET, interface=1, ending=Ending.RESET, status=None), INTERFACE_KILLED)


def test_everybody_is_told_exactly_once_that_his_client_has_gone() -> None:
    """P8. But for those who could be told nothing any more."""
    told = End(SOCKET.name, A, 1, 1006)
    assert judged(SOCKET, PEACE, A, ends=(told,)) == []
    assert judged(SOCKET, PEACE, A, ends=())
    assert judged(SOCKET, PEACE, A, ends=(told, told))
    assert judged(SOCKET, WORKER_KILLED, A, ends=()) == []
    assert judged(SOCKET, PEACE, A, ends=(replace(told, code=1011),))


def test_nothing_is_started_that_nobody_has_asked_for() -> None:
    """P2. A name that no client knows has been made up, or mixed up."""
    assert faults(Seen((), (), (Start("quick-9", A, 1),), ()), WORKER_KILLED)


def test_a_member_hears_what_is_told_to_its_group_exactly_once() -> None:
    """P10. Whoever had joined before, and stayed; what is published while Redis is cut off may be lost, and not doubled."""
    tell = Exchange("tell-1", "POST", "tell", 0, Ending.WHOLE, 200, b"tell-1 10", 10, began_s=5.0, ended_s=6.0)
    member = replace(SOCKET, kind="member", greeted_s=1.0, ended_s=20.0)

    def judged_together(member: Socket, harm: Harm = PEACE) -> list[str]:
        starts = (Start(tell.name, A, 1), Start(member.name, A, 2))
        return faults(Seen((tell,), (member,), starts, (End(member.name, A, 2, 1000),)), harm)

    assert judged_together(replace(member, notes=("tell-1",))) == []
    assert judged_together(member)
    assert judged_together(member, WORKER_KILLED)
    assert judged_together(member, REDIS_AWAY) == []
    assert judged_together(replace(member, greeted_s=5.5)) == []
    assert judged_together(replace(member, ended_s=7.0)) == []
    assert judged_together(replace(member, notes=("tell-1", "tell-1")), REDIS_AWAY)


def test_what_a_killed_worker_had_not_read_must_be_answered() -> None:
    """P3: it was sent directly, and it is known that nothing was started. If it was started elsewhere, that one may have fallen too."""
    failed = replace(POST, status=502)
    unread = replace(WORKER_KILLED, unread={A: frozenset({POST.name})})
    assert judged(failed, WORKER_KILLED) == []
    assert judged(failed, unread) != []
    assert judged(failed, unread, A) == []
    assert judged(failed, replace(harm((Victim.WORKER, Action.FREEZE, A)), unread=unread.unread)) == []


def test_what_was_not_begun_when_its_interface_server_left_is_told_to_try_again_if_two_starts_do_no_harm() -> None:
    """P3. The worker that was sent it directly, or any that could have taken it, stood still."""
    left = harm((Victim.WORKER, Action.BLOCK, A), (Victim.INTERFACE, Action.TERM, 2), interface=0)
    assert judged(replace(GET, status=503), left) == []
    assert judged(replace(GET, status=502), left)
    assert judged(replace(GET, status=502), left, A) == []
    assert judged(replace(POST, status=503), left)
    assert judged(replace(POST, status=502), left) == []
