"""Malformed packets at the interface server's dispatcher: over a real Redis, with an application that the test plays."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from channel_layer.protocol import packets
from channel_layer.protocol.events import Event
from channel_layer.settings import RedisSettings
from interface_server.connections.interfaces import EndReason
from interface_server.connections.transitions import ConnectionState
from interface_server.websocket.state import WebSocketState, WebSocketTrigger, transition
from tests.support.both_dispatchers import (
    MALFORMED_EITHER_WAY,
    Recorded,
    RecordedHost,
    adopted,
    interface,
    knock,
    worker,
)
from tests.support.facts import until

#: What only an owner says of a connection, beside what either side says.
MALFORMED = MALFORMED_EITHER_WAY | {
    "an event without a type": (packets.DATA, 1, [{"text": "x"}]),
    "a close for no reason": (packets.CLOSE, []),
    "a handoff without a place": (packets.HANDOFF, {}, 0, None),
}


ACCEPT = {"type": "websocket.accept", "subprotocol": None, "headers": []}


class NoSuchMove(Recorded):
    """A client's side whose WebSocket has no move for what it gets."""

    def deliver(self, events: Sequence[Event], size_bytes: int) -> None:
        transition(WebSocketState.CONNECTING, WebSocketTrigger.DENIED)


@pytest.mark.parametrize("name", MALFORMED)
async def test_what_its_owner_says_and_nobody_understands_ends_a_connection_visibly(
    redis_settings: RedisSettings, name: str
) -> None:
    """P1, P12. It would go on without some of its packets; both sides hear of it, at once, and nobody else does."""
    kind, *rest = MALFORMED[name]
    host = RecordedHost()
    async with interface(redis_settings) as server, worker(redis_settings, host) as owner:
        bystander, client = knock(server, kind="websocket"), knock(server, kind="websocket")
        await adopted(host, 2)
        hurt = next(run for run in host.instances if run.downstream.key[1] == client.upstream.connection.number)
        owner.node.post(server.node.name, (kind, client.upstream.connection.number, 1, *rest))
        await until(lambda: client.end_reason is EndReason.PACKETS_LOST and hurt.disconnects)
        assert hurt.disconnects == [(1006, "")]
        assert server.counters["packets.malformed"] == 1
        assert (bystander.end_reason, server.connection_count, len(owner.downstreams)) == (None, 1, 1)
        bystander.upstream.leave()
        await until(lambda: not owner.downstreams)


async def test_a_hand_off_behind_lost_packets_ends_its_connection_visibly(redis_settings: RedisSettings) -> None:
    """P1. What its owner had said before is lost; a socket that waits for nobody's answer would stay with nobody behind it."""
    host = RecordedHost()
    async with interface(redis_settings) as server, worker(redis_settings, host) as owner:
        client = knock(server, kind="websocket")
        instance = await adopted(host)
        instance.send({"type": "websocket.accept", "resumable": True})
        await until(lambda: client.events)
        owner.node.post(server.node.name, packets.handoff(client.upstream.connection.number, 1, 3, 0))
        await until(lambda: client.end_reason is EndReason.PACKETS_LOST and instance.disconnects)
        assert (server.counters["packets.lost"], server.connection_count, owner.downstreams) == (1, 0, [])


async def test_nonsense_of_somebody_else_ends_no_connection(redis_settings: RedisSettings) -> None:
    """P2, P12. Only of the owner can packets be lost: of a stranger, and of third parties, it is counted and dropped."""
    host = RecordedHost()
    async with interface(redis_settings) as server, worker(redis_settings, host) as owner:
        client = knock(server, kind="websocket")
        instance = await adopted(host)
        async with worker(redis_settings, RecordedHost(slots=0)) as stranger:
            for kind, *rest in MALFORMED.values():
                stranger.node.post(server.node.name, (kind, client.upstream.connection.number, 1, *rest))
            stranger.node.post(server.node.name, (packets.DATA, [], 1, 1, []))
            for node in (stranger.node, owner.node):
                node.post(server.node.name, (packets.JOIN, client.upstream.connection.number, 0, None, None))
            await until(lambda: server.counters["packets.malformed"] == 3)
            instance.send({"type": "websocket.accept"})
            await until(lambda: client.events and server.node._outbox.empty)
            assert (client.end_reason, instance.disconnects) == (None, [])
            client.upstream.leave()
            await until(lambda: not owner.downstreams)


async def test_an_illegal_move_is_logged_as_our_own_error_and_ends_its_connection(
    redis_settings: RedisSettings, caplog: pytest.LogCaptureFixture
) -> None:
    """A mistake in our own table must not pass for somebody else's malformed packet."""
    host = RecordedHost()
    async with interface(redis_settings) as server, worker(redis_settings, host) as owner:
        client = knock(server)
        await adopted(host)
        client.upstream.connection.owner = None  # no way through the table leads here
        assert client.upstream.connection.state is ConnectionState.OWNED
        owner.node.post(server.node.name, (packets.REFUSED, client.upstream.connection.number, 1, 0))
        await until(lambda: client.end_reason is EndReason.PACKETS_LOST)
        assert server.counters["packets.malformed"] == 0
        assert server.counters["internal.illegal_transition"] == 1
        assert "an internal error" in caplog.text and "REFUSED while OWNED" in caplog.text


async def test_an_illegal_move_does_not_stop_the_rest_of_its_batch(redis_settings: RedisSettings) -> None:
    """P1. The packets of one turn come together: an error that concerns one connection must not lose those of the others."""
    host = RecordedHost()
    async with interface(redis_settings) as server, worker(redis_settings, host) as owner:
        clients = [knock(server, kind="websocket") for _ in range(3)]
        await adopted(host, 3)
        first, hurt, last = clients
        hurt.upstream.connection.owner = None  # no way through the table leads here
        for client in (first, last):
            owner.node.post(server.node.name, (packets.DATA, client.upstream.connection.number, 1, 1, [ACCEPT]))
            if client is first:
                owner.node.post(server.node.name, (packets.REFUSED, hurt.upstream.connection.number, 1, 0))
        await until(lambda: first.events and hurt.end_reason and last.events)
        assert [client.end_reason for client in clients] == [None, EndReason.PACKETS_LOST, None]
        assert server.counters["internal.illegal_transition"] == 1
        assert (server.counters["packets.malformed"], server.connection_count) == (0, 2)


async def test_a_websocket_that_cannot_make_a_move_does_not_blame_the_sender(
    redis_settings: RedisSettings,
) -> None:
    """P12. A trigger that a WebSocket's table does not have is our own error, not a malformed packet of the worker."""
    host = RecordedHost()
    async with interface(redis_settings) as server, worker(redis_settings, host) as owner:
        upstream = knock(server, kind="websocket").upstream
        upstream.client = client = NoSuchMove()
        await adopted(host)
        owner.node.post(server.node.name, (packets.DATA, upstream.connection.number, 1, 1, [ACCEPT]))
        await until(lambda: client.end_reason is EndReason.PACKETS_LOST)
        assert server.counters["internal.illegal_transition"] == 1
        assert server.counters["packets.malformed"] == 0


async def test_a_refusal_of_another_epoch_or_of_an_owned_connection_is_stale(redis_settings: RedisSettings) -> None:
    """P2. The connection decides, as it does of an adoption: a refusal that comes late ends nothing."""
    host = RecordedHost()
    async with interface(redis_settings) as server, worker(redis_settings, host) as owner:
        owned = knock(server, kind="websocket")
        await adopted(host)
        async with worker(redis_settings, RecordedHost(slots=0)) as other:
            owner.pause(True)
            queued = knock(server, kind="websocket")
            for client, epoch in ((owned, 1), (queued, 2)):
                other.node.post(server.node.name, (packets.REFUSED, client.upstream.connection.number, epoch, 0))
            await until(lambda: server.counters["packets.stale"] == 2)
            assert (owned.end_reason, queued.end_reason) == (None, None)
            other.node.post(server.node.name, (packets.REFUSED, queued.upstream.connection.number, 1, 0))
            await until(lambda: queued.end_reason is EndReason.LATE)
            assert (owned.end_reason, server.counters["packets.stale"]) == (None, 2)
