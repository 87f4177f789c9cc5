"""The cores of the wire: names, values, batches, credit, leases, groups. No server, no clock, no loop."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_layer.errors import ChannelLayerError, InvalidMessage, InvalidName, WireError
from channel_layer.liveness.lease import OwnLease
from channel_layer.liveness.peer_counts import PeerCounts
from channel_layer.messaging.membership import Membership
from channel_layer.protocol import codec, packets
from channel_layer.protocol.events import check_message, payload_size_bytes
from channel_layer.protocol.flow_control import WINDOW_BYTES_MAX, WINDOW_BYTES_SMALL, Budget, Incoming, Outgoing
from channel_layer.protocol.names import check_channel, check_group, reply_channel
from channel_layer.redis.address import Credentials, RedisAddress
from channel_layer.redis.tls import Tls

# -- names


@pytest.mark.parametrize("name", ["chat", "a.b-c_d", "worker.9f!12", "x!", "a" * 99])
def test_names_that_are_names(name: str) -> None:
    """Channels specification: fewer than 100 of [a-zA-Z0-9_.-], with one '!' for a process-local channel."""
    assert check_channel(name) == name


@pytest.mark.parametrize("name", ["", "a" * 100, "a b", "ä", "a!b!c", "!b", "a\n", b"bytes", None, 7])
def test_names_that_are_none(name: object) -> None:
    """A caller's bug is told at once, with what was tried."""
    with pytest.raises(InvalidName):
        check_channel(name)


def test_a_group_name_has_no_exclamation_mark() -> None:
    """Groups are not channels."""
    assert check_group("chat") == "chat"
    with pytest.raises(InvalidName):
        check_group("chat!1")


def test_every_reply_channel_is_a_channel_name() -> None:
    """Whatever a node and a number are called."""
    assert check_channel(reply_channel("interface.0123456789ab", 2**40))


# -- values


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({1}, "message['x']"),
        (math.nan, "message['x']"),
        (-math.inf, "message['x']"),
        (2**63, "message['x']"),
        ([b"fine", object()], "message['x'][1]"),
        ({"deep": {"deeper": (1, {2: 3})}}, "message['x']['deep']['deeper'][1]"),
    ],
)
def test_what_is_not_of_asgis_types_is_named_by_its_path(value: object, path: str) -> None:
    """The sender hears where it stands; the reader never meets it."""
    with pytest.raises(InvalidMessage) as error:
        check_message({"type": "test", "x": value})
    assert path in str(error.value)


def test_depth_is_bounded() -> None:
    """A message of a thousand levels is no message."""
    value: object = 1
    for _ in range(1000):
        value = [value]
    with pytest.raises(InvalidMessage, match="deeper"):
        check_message({"type": "test", "x": value})


@pytest.mark.parametrize("message", [None, [], {}, {"type": 1}, {"typ": "x"}])
def test_a_message_is_a_dict_with_a_type(message: object) -> None:
    """Nothing else is sent."""
    with pytest.raises(InvalidMessage):
        check_message(message)


asgi_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])) | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), asgi_values, max_size=4))
def test_what_passes_the_check_comes_back_as_it_was(content: dict[str, object]) -> None:
    """Bytes stay bytes, text stays text."""
    message = {**content, "type": "test"}
    check_message(message)
    assert codec.unpack(codec.pack(message)) == message


@pytest.mark.parametrize(
    ("event", "size"),
    [
        ({"type": "http.request", "body": b"four", "more_body": True}, 68),
        ({"type": "websocket.receive", "text": "äö"}, 68),
        ({"type": "websocket.receive", "bytes": b""}, 64),
        ({"type": "http.response.start", "status": 200, "headers": [(b"x", b"y")]}, 64),
    ],
)
def test_an_event_counts_its_payload_and_64_bytes(event: dict[str, object], size: int) -> None:
    """Both ends count alike, or a window would leak. PROTOCOL.md, P5."""
    assert payload_size_bytes(event) == size


# -- batches


def test_a_batch_is_put_together_from_packed_packets() -> None:
    """A packet is packed once, may wait, and may be sent again."""
    sent = [packets.data(7, 1, number, [{"type": "x"}]) for number in range(300)]
    batch = codec.join_batch(codec.batch_head("worker.a"), [codec.pack(packet) for packet in sent])
    sender, received = codec.unpack_batch(batch)
    assert sender == "worker.a"
    assert [tuple(packet) for packet in received] == sent


@given(st.binary(max_size=200))
def test_any_bytes_are_a_batch_or_a_wire_error(garbage: bytes) -> None:
    """P12. Nothing else comes out of the decoder."""
    try:
        codec.unpack_batch(garbage)
    except WireError:
        pass


def test_a_longer_packet_is_of_a_later_version_and_its_tail_is_ignored() -> None:
    """One version back must go on working while processes are replaced."""
    batch = codec.join_batch(codec.batch_head("w"), [codec.pack((packets.CREDIT, 1, 1, 5, 0, "new field"))])
    assert codec.unpack_batch(batch)[1][0][:5] == [packets.CREDIT, 1, 1, 5, 0]


def test_errors_say_whether_to_try_again_and_whether_anything_was_sent() -> None:
    """Two questions, answered per class."""
    for error in ChannelLayerError.__subclasses__():
        assert isinstance(error.retry, bool) and isinstance(error.known, bool)


# -- credit


def test_a_whole_message_may_go_while_any_room_is_left() -> None:
    """P5. The bound of a buffer is its window and one message."""
    window = Outgoing(100)
    window.sent += 99
    assert window.room
    window.sent += 1_000
    assert not window.room
    assert not window.allow(1_000)
    assert window.allow(1_100)
    assert window.room


def test_credit_may_be_repeated_and_lost() -> None:
    """Totals, never increments."""
    window = Outgoing(100)
    window.sent = 150
    assert window.allow(300)
    assert not window.allow(200)
    assert window.allowed == 300


def budget_of_small_windows() -> Budget:
    return Budget(1, WINDOW_BYTES_SMALL)


@given(st.lists(st.integers(64, 5_000), max_size=200))
def test_a_receiver_tells_at_half_a_window_and_never_allows_more_than_a_window(sizes: list[int]) -> None:
    """P5. Between two words of the receiver at most half a window is consumed; what is allowed is consumed + window."""
    window, budget = Incoming(16_384), budget_of_small_windows()
    consumed = 0
    for size in sizes:
        consumed += size
        told = window.consume(size, budget)
        assert told is None or told == consumed + 16_384
        assert consumed + 16_384 - window.told < 16_384 // 2


def test_the_windows_of_a_process_add_up_to_its_budget_however_many_connections_come() -> None:
    """P5. Also of those that never take anything, and of those that take all the while."""
    budget, windows = Budget(256 << 20, 1024), []
    for number in range(50_000):
        windows.append(Incoming(budget.grant()))
        assert number > 250 or windows[-1].window == WINDOW_BYTES_MAX
        assert number > 1000 or windows[-1].window >= WINDOW_BYTES_SMALL
        if number % 10 == 0:
            taker = windows[number // 2]
            taker.consume(taker.window, budget)
    assert sum(window.window for window in windows) == budget.granted_bytes < 256 << 20
    assert min(window.window for window in windows) >= 1024
    for window in windows:
        budget.give_back(window.window)
    assert budget.granted_bytes == 0 and budget.grant() == WINDOW_BYTES_MAX


def test_beyond_the_budget_each_connection_gets_the_least_there_is() -> None:
    budget = Budget(1 << 20, 1024)
    windows = [budget.grant() for _ in range(10_000)]
    assert set(windows[1000:]) == {1024} and budget.granted_bytes < (1 << 20) + 10_000 * 1024


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 300_000)), max_size=100))
def test_a_window_that_grows_or_shrinks_never_leaves_its_sender_without_a_way_on(steps: list[tuple[int, int]]) -> None:
    """P5. A sender who has used what it was told, all of which was consumed, is told of more; no total ever shrinks."""
    budget = Budget(4 << 20, 1024)
    windows = [(Incoming(window), Outgoing(window)) for window in (budget.grant() for _ in range(4))]
    crowd: list[int] = []
    for which, size in steps:
        incoming, outgoing = windows[which]
        crowd.append(budget.grant())
        if size % 3 == 0:
            while crowd:
                budget.give_back(crowd.pop())
        assert outgoing.room
        outgoing.sent += size
        before = incoming.told
        if (total := incoming.consume(size, budget)) is not None:
            assert total > before
            outgoing.allow(total)
        assert outgoing.allowed - outgoing.sent <= incoming.window


# -- leases


def test_only_who_was_alive_all_the_while_may_call_another_dead() -> None:
    """P6, P8. Else an outage of Redis looks like a massacre."""
    own = OwnLease(5.0)
    assert not own.may_judge(0.0)
    own.renewed(0.0, found=False)
    assert not own.may_judge(4.9)
    for second in range(1, 6):
        assert not own.renewed(float(second), found=True)
    assert own.may_judge(5.0)
    assert not own.may_judge(10.1), "our own renewals have stopped"
    assert own.renewed(11.0, found=False), "others may have thought us dead"
    assert not own.may_judge(12.0)


def test_a_renewal_is_under_way_until_each_that_was_asked_for_has_been_heard_of() -> None:
    """P6, P8. The thread that asks may be two renewals ahead of a loop that was blocked."""
    own = OwnLease(5.0)
    assert not own.asking
    own.asks()
    own.asks()
    own.renewed(1.0, found=True)
    assert own.asking
    own.failed()
    assert not own.asking and not own.may_judge(1.0)


def test_a_renewal_that_failed_counts_as_long_as_one_that_found_nothing() -> None:
    """P6, P8. Who could not renew for a moment may have been luckier than others, whose leases ended meanwhile."""
    own = OwnLease(5.0)
    for second in range(6):
        own.renewed(float(second), found=True)
    assert own.may_judge(5.1)
    own.doubt()
    assert not own.may_judge(5.2)
    assert not own.renewed(6.0, found=True), "ours was still there"
    for second in range(7, 11):
        own.renewed(float(second), found=True)
        assert not own.may_judge(second + 0.1)
    own.renewed(11.0, found=True)
    assert own.may_judge(11.1)


def test_peers_are_watched_as_long_as_connections_are_shared_with_them() -> None:
    """One lease per process, whatever the number of connections."""
    peers = PeerCounts()
    for _ in range(3):
        peers.hold("a")
    peers.hold("b")
    peers.release("a")
    assert peers.watched() == ["a", "b"]
    peers.release("b")
    peers.release("b")
    assert peers.watched() == ["a"]


def test_what_is_taken_from_the_queue_of_the_dead_is_not_forgotten_with_what_they_had() -> None:
    """P8. Instances of the dead end in their own time; one that was started behind their burial must be told as well."""
    peers = PeerCounts()
    for _ in range(2):
        peers.hold("dead")
    peers.forget("dead")
    assert "dead" not in peers
    peers.hold("dead")
    peers.release("dead")
    peers.release("dead")
    assert "dead" in peers
    peers.release("dead")
    assert "dead" not in peers and peers.watched() == []


# -- groups


def test_a_group_is_over_with_its_last_member() -> None:
    """P10. Membership dies with its member."""
    members = Membership()
    for group, member in (("chat", 1), ("chat", 2), ("chat", 2), ("news", 2)):
        members.add(group, member)
    assert members.members("chat") == (1, 2)
    assert not members.discard("chat", 3)
    assert not members.discard("chat", 1)
    assert sorted(members.gone(2)) == ["chat", "news"]
    assert members.members("chat") == ()
    assert members.gone(2) == []


# -- addresses


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://10.0.0.1:7000/3", {"host": "10.0.0.1", "port": 7000, "db": 3}),
        ("redis://user:secret@host", {"host": "host", "credentials": Credentials("user", "secret")}),
        ("redis://:secret%40a@host", {"credentials": Credentials(None, "secret@a")}),
        ("redis://a:1?password=secret@b", {"host": "a", "port": 1, "credentials": Credentials(None, "secret@b")}),
        ("redis://[::1]:7/0?password=secret@", {"host": "::1", "port": 7}),
        ("rediss://host", {"tls": Tls()}),
        ("rediss://host?ssl_cert_reqs=none&ssl_ca_certs=/a", {"tls": Tls(ssl_cert_reqs="none", ssl_ca_certs="/a")}),
        ("unix://user@/run/redis.sock?password=secret", {"credentials": Credentials("user", "secret")}),
        ("unix:///run/redis.sock?db=2", {"path": "/run/redis.sock", "db": 2}),
        (
            "redis+sentinel://:secret@a:1,b/mymaster/4",
            {
                "sentinels": (("a", 1), ("b", 26379)),
                "service": "mymaster",
                "db": 4,
                "tls": None,
                "credentials": Credentials(None, "secret"),
                "sentinel_credentials": Credentials(None, "secret"),
            },
        ),
        ("redis+sentinel://[::1]:7,[fe80::1%25eth0]/m", {"sentinels": (("::1", 7), ("fe80::1%eth0", 26379))}),
        ("redis+sentinel://:secret@a:1, b:2 ,\tc/m", {"sentinels": (("a", 1), ("b", 2), ("c", 26379))}),
        (
            "redis+sentinel://a:,b/my%20service/",
            {"sentinels": (("a", 26379), ("b", 26379)), "service": "my service", "db": 0},
        ),
        ("REDIS://[fe80::1]/", {"host": "fe80::1", "port": 6379, "db": 0}),
        (
            "rediss+sentinel://me:secret%2F1@a/mymaster?sentinel_password=secret%2B2&ssl_check_hostname=false",
            {
                "sentinels": (("a", 26379),),
                "db": 0,
                "tls": Tls(ssl_check_hostname=False),
                "credentials": Credentials("me", "secret/1"),
                "sentinel_credentials": Credentials(None, "secret+2"),
            },
        ),
    ],
)
def test_a_url_is_understood_once(url: str, expected: dict[str, object]) -> None:
    """All forms that redis-py knows, and Sentinel's."""
    address = RedisAddress.parse(url)
    assert {name: getattr(address, name) for name in expected} == expected
    assert "secret" not in address.shown + repr(address)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://me:secret@x", "begins with none of"),
        ("host:6379", "begins with none of"),
        ("redis://:secret@a:port", "Port"),
        ("redis://:secret/secret@a:1/0", "percent-encoded"),
        ("redis://me:secret?secret@a", "percent-encoded"),
        ("redis+sentinel://:secret#secret@a/m", "percent-encoded"),
        ("redis://:12/secret@a", "percent-encoded"),
        ("redis://:secret@a:port?password=secret@secret", "Port"),
        ("redis+sentinel://:secret@a", "/service"),
        ("redis+sentinel://a/m/x", "/service"),
        ("redis+sentinel://:secret@a:x/m", "no host"),
        ("redis+sentinel://a,,b/m", "no host"),
        ("redis+sentinel://::1/m", "no host"),
        ("redis+sentinel://[::1/m", "no host"),
        ("redis+sentinel://a:0,b:65536/m", "no host"),
        ("redis+sentinel://a b/m", "no host"),
        ("redis+sentinel://a/m/1/2", "/service"),
        ("redis://h/zero", "'/zero' is no number of a database"),
        ("redis://h/1/2", "no number of a database"),
        ("redis://h/-1", "no number of a database"),
        ("redis://h/0 ", "no number of a database"),
        ("redis://h?db=-1", "no number of a database"),
        ("redis://h/0#1", "a fragment"),
        ("redis://:secret@a?ssl_ca_certs=/a", "ssl_ca_certs: no parameter of it"),
        ("rediss://a?password=secret&ssl_cert_reqs=perhaps", "required, none"),
        ("redis+sentinel://a/m?sentinel_password=secret&socket_timeout=3", "socket_timeout: no parameter"),
    ],
)
def test_a_url_that_is_none_is_told_in_one_sentence(url: str, why: str) -> None:
    """P12. It does not tell the password."""
    with pytest.raises(ValueError, match="is not a Redis URL: ") as told:
        RedisAddress.parse(url)
    assert re.search(why, str(told.value)) and "secret" not in str(told.value)
