"""The queue of one channel: order, capacity, expiry, and receivers that are woken, leave, or have left."""

from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from channel_layer.application.local_queue import LocalQueue

FOREVER = float("inf")


class Receiver:
    """Notes that it was woken. gone: its loop has ended."""

    def __init__(self, gone: bool = False) -> None:
        self.gone, self.woken = gone, 0

    def wake(self) -> bool:
        self.woken += 1
        return not self.gone


def event(number: int) -> dict[str, object]:
    return {"type": "test", "number": number}


def test_messages_come_out_in_the_order_in_which_they_went_in() -> None:
    """P1."""
    queue = LocalQueue(10, 0.0)
    assert all(queue.put(event(number), FOREVER, 0.0) for number in range(3))
    assert [queue.take(0.0) for _ in range(4)] == [event(0), event(1), event(2), None]


def test_a_full_queue_keeps_the_oldest() -> None:
    """P4."""
    queue = LocalQueue(2, 0.0)
    assert [queue.put(event(number), FOREVER, 0.0) for number in range(3)] == [True, True, False]
    assert queue.take(0.0) == event(0)
    assert queue.put(event(3), FOREVER, 0.0)


def test_what_has_expired_is_dropped_counted_and_makes_room() -> None:
    queue = LocalQueue(1, 0.0)
    queue.put(event(0), 5.0, 0.0)
    assert queue.put(event(1), 9.0, 6.0)
    assert (queue.take(6.0), queue.drop_expired(6.0)) == (event(1), 1)
    queue.put(event(2), 7.0, 6.0)
    assert (queue.take(7.0), queue.drop_expired(7.0)) == (None, 1)


def test_a_receiver_is_woken_once_and_takes_the_message_by_itself() -> None:
    queue, receiver = LocalQueue(10, 0.0), Receiver()
    assert queue.take(0.0, receiver) is None
    queue.put(event(0), FOREVER, 0.0)
    queue.put(event(1), FOREVER, 0.0)
    assert (receiver.woken, queue.waiting_count, queue.missing_count) == (1, 2, -1)
    assert queue.take(0.0, receiver) == event(0)
    assert queue.receiver_count == 0


def test_a_woken_receiver_that_leaves_wakes_the_next() -> None:
    """Its message would otherwise wait although somebody waits for it."""
    queue, first, second = LocalQueue(10, 0.0), Receiver(), Receiver()
    queue.take(0.0, first)
    queue.take(0.0, second)
    queue.put(event(0), FOREVER, 0.0)
    queue.give_up(first, 0.0)
    assert (first.woken, second.woken) == (1, 1)


def test_a_receiver_whose_loop_has_ended_is_passed_over() -> None:
    queue, gone, there = LocalQueue(10, 0.0), Receiver(gone=True), Receiver()
    queue.take(0.0, gone)
    queue.take(0.0, there)
    queue.put(event(0), FOREVER, 0.0)
    assert (there.woken, queue.receiver_count) == (1, 1)


@given(st.lists(st.sampled_from(["put", "wait", "leave", "take"]), max_size=40))
def test_a_message_waits_only_if_a_woken_receiver_will_take_it_or_there_is_none(steps: list[str]) -> None:
    """Whatever comes, no receiver sleeps while there is a message for it."""
    queue, waiting, put, taken = LocalQueue(100, 0.0), [], 0, 0
    for step in steps:
        if step == "put":
            put += queue.put(event(put), FOREVER, 0.0)
        elif step == "wait":
            receiver = Receiver()
            if queue.take(0.0, receiver) is None:
                waiting.append(receiver)
            else:
                taken += 1
        elif step == "leave" and waiting:
            queue.give_up(waiting.pop(0), 0.0)
        elif step == "take" and waiting and waiting[0].woken:
            receiver = waiting.pop(0)
            if queue.take(0.0, receiver) is None:
                waiting.append(receiver)
                receiver.woken = 0
            else:
                taken += 1
        awake = sum(receiver.woken > 0 for receiver in waiting)
        assert awake >= min(queue.waiting_count, len(waiting))
        assert queue.waiting_count == put - taken


def test_many_threads_lose_and_double_nothing() -> None:
    queue, got = LocalQueue(10_000, 0.0), []

    def put(start: int) -> None:
        for number in range(start, start + 500):
            queue.put(event(number), FOREVER, 0.0)

    def take() -> None:
        for _ in range(2_000):
            if (found := queue.take(0.0)) is not None:
                got.append(found["number"])

    threads = [threading.Thread(target=put, args=(start,)) for start in (0, 500, 1_000)]
    threads += [threading.Thread(target=take) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    left = [found["number"] for found, _ in queue.clear()]
    assert sorted(got + left) == list(range(1_500))
