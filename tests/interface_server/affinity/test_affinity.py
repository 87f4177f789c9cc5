"""Which worker a client's connections go to, decided without a socket."""

from __future__ import annotations

from interface_server.affinity.affinity import ADDRESSES_MAX, ByAddress, ByCookie, Tie, affinity
from interface_server.affinity.sticky_workers import LISTED_FOR_S, StickyWorkers

ONE, OTHER = "worker.aaaaaaaaaaaa", "worker.bbbbbbbbbbbb"
ANSWER = [{"type": "http.response.start", "status": 200, "headers": []}, {"type": "http.response.body", "body": b""}]


def scope(*cookies: bytes, scheme: str = "http", address: str | None = "192.0.2.1") -> dict[str, object]:
    client = None if address is None else [address, 1]
    return {"headers": [(b"cookie", cookie) for cookie in cookies], "scheme": scheme, "client": client}


def test_a_client_is_known_by_the_worker_in_its_cookie() -> None:
    by_cookie = ByCookie("")
    for cookies in ([b"towpath-worker=w"], [b"a=1; towpath-worker=w ;b=2"], [b"a=1", b"towpath-worker=w"]):
        assert by_cookie.tie(scope(*cookies)) == Tie("w", False)
    for cookies in ([], [b"xtowpath-worker=w"], [b"towpath-worker"], [b"\xff;;="]):
        assert by_cookie.tie(scope(*cookies)) == Tie("", False)


def test_a_cookie_names_a_worker_that_is_there_or_none() -> None:
    """P12. What a client makes up leads nowhere."""
    by_cookie = ByCookie("")
    assert by_cookie.worker(Tie(ONE, False), {ONE}) == ONE
    for made_up in ("", "worker.", ONE + "x", "*", "\n"):
        assert by_cookie.worker(Tie(made_up, False), {ONE}) is None


def test_only_an_answer_of_another_worker_sets_the_cookie() -> None:
    by_cookie = ByCookie("")
    assert by_cookie.marked(ANSWER, Tie(ONE, False), ONE) is ANSWER
    start, body = by_cookie.marked(ANSWER, Tie("", False), ONE)
    cookie = b"towpath-worker=" + ONE.encode() + b"; Path=/; HttpOnly; SameSite=Lax"
    assert start["headers"] == [(b"set-cookie", cookie)]
    assert body is ANSWER[1]
    assert ANSWER[0]["headers"] == []


def test_the_cookie_is_for_the_mounted_path_and_for_https_alone_where_that_is_spoken() -> None:
    by_cookie = ByCookie("/shop")
    tie = by_cookie.tie(scope(scheme="https"))
    (accept,) = by_cookie.marked([{"type": "websocket.accept"}], tie, ONE)
    assert accept["headers"][0][1].endswith(b"; Path=/shop; HttpOnly; SameSite=Lax; Secure")


def test_every_interface_server_finds_the_same_worker_for_an_address() -> None:
    ties = [Tie(f"192.0.2.{last}", False) for last in range(200)]
    first = [ByAddress().worker(tie, [ONE, OTHER]) for tie in ties]
    assert first == [ByAddress().worker(tie, [OTHER, ONE]) for tie in ties]
    assert 60 < first.count(ONE) < 140


def test_an_address_stays_with_the_worker_that_took_it_while_that_is_there() -> None:
    by_address = ByAddress()
    tie = Tie("192.0.2.1", False)
    assert by_address.worker(tie, []) is None
    for worker in (ONE, OTHER):
        by_address.remember(tie, worker)
        assert by_address.worker(tie, [ONE, OTHER]) == worker
    assert by_address.worker(tie, [ONE]) == ONE


def test_no_more_addresses_are_remembered_than_the_limit_says() -> None:
    """P5. The one that was heard of longest ago is forgotten."""
    by_address = ByAddress()
    for number in range(ADDRESSES_MAX + 1):
        by_address.remember(Tie(str(number), False), ONE)
        by_address.remember(Tie("kept", False), ONE)
    assert len(by_address._workers) == ADDRESSES_MAX
    assert "kept" in by_address._workers and "0" not in by_address._workers


def test_a_client_without_an_address_is_tied_to_nobody() -> None:
    assert ByAddress().tie(scope(address=None)) is None
    assert affinity("off", "") is None


def test_a_worker_counts_from_its_announcement_until_it_leaves_or_is_listed_no_more() -> None:
    workers = StickyWorkers()
    workers.announced(ONE, 0.0)
    workers.listed([OTHER], LISTED_FOR_S)
    assert set(workers) == {ONE, OTHER}
    workers.listed([OTHER], LISTED_FOR_S + 0.1)
    assert set(workers) == {OTHER}
    workers.left(OTHER)
    workers.listed([OTHER], LISTED_FOR_S + 0.2)
    assert OTHER not in workers and len(workers) == 0
