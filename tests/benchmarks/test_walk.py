"""The walk of one request: which calls are stays, and which of them are returns."""

from __future__ import annotations

from benchmarks.walk import CALLS_MAX, calls_of, returns_in, stays_of, usual

#: `a` asks a leaf, calls `b`, which writes, and goes on; then Redis answers, and `a` is called again.
REQUEST = """\
c a.py begin
c leaf.py check
r leaf.py check
c a.py inner
c b.py send
c t.py Transport.write
r t.py Transport.write
r b.py send
r a.py inner
c leaf.py check
r leaf.py check
r a.py begin
c redis.py RedisConnection.data_received
c a.py answered
c b.py end
c leaf.py check
r leaf.py check
r b.py end
r a.py answered
r redis.py RedisConnection.data_received
""".splitlines()
STAYS = ["a.py begin", "b.py send", "t.py Transport.write", "redis.py RedisConnection.data_received"]
STAYS += ["a.py answered", "b.py end"]


def test_a_stay_calls_into_another_file_or_touches_a_socket():
    assert stays_of(calls_of(REQUEST)) == STAYS
    assert returns_in(STAYS) == 2


def test_what_lasts_longer_than_a_request_is_no_part_of_it():
    """Also frames whose end or beginning nobody recorded."""
    page = ["r a.py lost", "c main.py run", *REQUEST * (CALLS_MAX // 8), "c a.py begin"]
    assert usual(calls_of(page), "begin") == STAYS
