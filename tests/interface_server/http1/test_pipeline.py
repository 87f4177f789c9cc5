"""Parts of pipelined requests: handed on in order, one request at a time."""

from __future__ import annotations

from interface_server.http1.pipeline import Pipeline


def test_what_begins_something_waits_until_the_counter_is_free_and_the_rest_follows_it():
    """P1. In order, whatever waits."""
    free, made = True, []

    def begin(name: str) -> None:
        nonlocal free
        free = False
        made.append(name)

    turns = Pipeline(lambda: free)
    turns.take(True, begin, "first")
    turns.take(False, made.append, "of the first")
    turns.take(True, begin, "second")
    turns.take(False, made.append, "of the second")
    assert made == ["first", "of the first"]
    free = True
    turns.go_on()
    assert made == ["first", "of the first", "second", "of the second"]
    assert not turns.waiting
