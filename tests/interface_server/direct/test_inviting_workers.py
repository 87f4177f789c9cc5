"""Which worker gets a request directly, and what is asked back."""

from __future__ import annotations

import pytest

from interface_server.direct.inviting_workers import RECALL_S, REQUESTS_MIN, TAKE_BACK_S, InvitingWorkers

A, B = "worker.a", "worker.b"


@pytest.fixture
def workers() -> InvitingWorkers:
    workers = InvitingWorkers()
    assert workers.invited(A, 2, 0) and workers.invited(B, 2, 0)
    return workers


def send(workers: InvitingWorkers, name: str, number: int, at: float = 0.0, once: bool = False) -> None:
    assert workers.by_name[name].takes_more
    workers.by_name[name].sent(number, at, not once)


def test_without_an_invitation_there_is_no_worker() -> None:
    assert InvitingWorkers().choose("") is None


def chosen_for(workers: InvitingWorkers, previous: str = "") -> str | None:
    chosen = workers.choose(previous)
    return None if chosen is None else chosen.name


def test_the_worker_that_a_client_had_gets_its_next_request(workers: InvitingWorkers) -> None:
    """Requests of one keep-alive connection, whatever few others do meanwhile."""
    workers.invited(A, 8, 0)
    for number in range(1, REQUESTS_MIN + 1):
        assert chosen_for(workers, A) == A
        send(workers, A, number)
    assert chosen_for(workers, A) == A


def test_a_client_leaves_a_worker_that_has_many_more_requests_than_another(workers: InvitingWorkers) -> None:
    for name in (A, B):
        workers.invited(name, 16, 0)
    for number in range(1, REQUESTS_MIN + 2):
        send(workers, A, number)
    assert chosen_for(workers, A) == B
    for number in range(6, 9):
        send(workers, B, number)
    assert chosen_for(workers, A) == A  # five to three
    for number in range(9, 11):
        send(workers, A, number)
    assert chosen_for(workers, A) == B


def test_while_a_worker_rests_only_an_idle_one_is_sent_a_request_directly(workers: InvitingWorkers) -> None:
    """An application that blocks its event loop: what is sent to a busy worker would wait there, and the one that rests is free."""
    workers.invited("worker.c", 0, 0, has_places=True)
    send(workers, A, 1)
    assert chosen_for(workers, A) == B
    send(workers, B, 2)
    assert chosen_for(workers, A) is None and chosen_for(workers) is None
    workers.invited("worker.c", 0, 0, has_places=False)
    assert chosen_for(workers, A) == A
    workers.invited("worker.c", 0, 0, has_places=True)
    workers.left("worker.c")
    assert chosen_for(workers, A) == A


def test_else_the_worker_with_the_fewest_requests_gets_it_in_turn(workers: InvitingWorkers) -> None:
    names = []
    for number in range(1, 5):
        chosen = workers.choose("worker.gone")
        assert chosen is not None
        send(workers, chosen.name, number)
        names.append(chosen.name)
    assert sorted(names) == [A, A, B, B] and names[0] != names[1]
    assert workers.choose("") is None  # the quota of both is used


def test_new_clients_are_spread_over_idle_workers(workers: InvitingWorkers) -> None:
    chosen = [workers.choose("") for _ in range(6)]
    assert [worker.name for worker in chosen if worker is not None].count(A) == 3


def test_an_invitation_counts_from_the_last_request_that_it_names(workers: InvitingWorkers) -> None:
    send(workers, A, 1)
    send(workers, A, 4)
    assert not workers.by_name[A].takes_more
    assert not workers.invited(A, 2, 1)  # known
    assert list(workers.by_name[A].unbegun) == [4] and workers.by_name[A].takes_more
    workers.invited(A, 1, 0)  # an older one, read again: what was acknowledged stays so
    assert list(workers.by_name[A].unbegun) == [4] and not workers.by_name[A].takes_more


def test_what_is_not_acknowledged_in_time_is_asked_back_once(workers: InvitingWorkers) -> None:
    send(workers, A, 1, at=10.0)
    send(workers, A, 2, at=10.015)
    assert workers.to_recall(10.0 + RECALL_S / 2) == ([], [])
    assert workers.to_recall(10.001 + RECALL_S) == ([1], [])
    assert workers.by_name[A].stalls
    assert workers.to_recall(10.016 + RECALL_S) == ([2], [])
    assert workers.to_recall(10.0 + TAKE_BACK_S) == ([], [])


def test_what_is_not_given_back_either_is_taken_back(workers: InvitingWorkers) -> None:
    send(workers, A, 1)
    send(workers, A, 2)
    workers.to_recall(1.0)
    workers.invited(A, 8, 1)
    assert workers.to_recall(1.0) == ([], [2])
    workers.over(A, 2)
    assert not workers.by_name[A].asked_back


def test_what_may_start_only_once_is_asked_back_and_not_taken_and_nothing_more_is_checked(
    workers: InvitingWorkers,
) -> None:
    """P3. Each check reads the inbox up, and a worker may be frozen for long."""
    send(workers, A, 1, once=True)
    assert workers.any_open and workers.any_late(1.0)
    assert workers.to_recall(1.0) == ([1], [])
    assert not workers.any_open and not workers.any_late(1.0)
    assert workers.is_unbegun(A, 1) and workers.by_name[A].stalls
    send(workers, B, 2, at=0.5)
    assert workers.any_open and workers.to_recall(1.0) == ([], [])  # both stall
    workers.invited(A, 2, 1)
    assert workers.to_recall(2.0) == ([2], [])
    workers.over(B, 2)
    workers.over(A, 1)
    assert not workers.by_name[A].once and not workers.any_open


def test_nothing_is_asked_back_where_no_other_worker_takes_more(workers: InvitingWorkers) -> None:
    workers.invited(B, 0, 0)
    send(workers, A, 1)
    assert workers.to_recall(1.0) == ([], [])
    workers.invited(B, 1, 0)
    assert workers.to_recall(1.0) == ([1], [])


def test_what_a_worker_has_not_begun_is_asked_back_where_another_rests(workers: InvitingWorkers) -> None:
    """It takes requests from the shared channel."""
    workers.invited(B, 0, 0, has_places=True)
    send(workers, A, 1)
    assert workers.to_recall(1.0) == ([1], [])


def test_a_worker_that_stalls_gets_nothing_until_it_has_acknowledged_all(workers: InvitingWorkers) -> None:
    send(workers, A, 1)
    send(workers, A, 2, at=1.0)
    workers.to_recall(1.0)
    workers.invited(A, 8, 1)
    assert not workers.by_name[A].takes_more
    workers.invited(A, 8, 2)
    assert workers.by_name[A].takes_more


def test_what_is_acknowledged_has_begun(workers: InvitingWorkers) -> None:
    send(workers, A, 1)
    assert workers.may_be_unbegun(A, 1) and not workers.any_late(RECALL_S / 2) and workers.any_late(2 * RECALL_S)
    workers.invited(A, 2, 1)
    assert not workers.may_be_unbegun(A, 1) and not workers.any_late(2 * RECALL_S)
    assert not workers.may_be_unbegun("worker.gone", 1)


def test_what_is_over_was_begun_and_counts_no_more(workers: InvitingWorkers) -> None:
    send(workers, A, 1)
    workers.to_recall(1.0)
    assert workers.is_unbegun(A, 1)
    workers.over(A, 1)
    worker = workers.by_name[A]
    assert not workers.is_unbegun(A, 1) and worker.requests == 0
    assert not worker.takes_more  # it has shown no life
    workers.invited(A, 2, 1)
    assert worker.takes_more
    workers.over("worker.gone", 1)


def test_a_loss_of_acknowledgements_makes_all_count_as_begun(workers: InvitingWorkers) -> None:
    send(workers, A, 1)
    assert workers.any_open
    workers.acknowledged_all()
    assert not workers.is_unbegun(A, 1) and not workers.any_open
    assert workers.may_be_unbegun(A, 1)  # nor is that known
    workers.over(A, 1)
    assert not workers.by_name[A].uncertain


def test_nothing_is_sent_to_a_worker_that_left(workers: InvitingWorkers) -> None:
    send(workers, A, 1)
    workers.left(A)
    chosen = workers.choose(A)
    assert chosen is not None and chosen.name == B
    assert not workers.is_unbegun(A, 1)  # as far as is known
