"""Malformed packets at the worker's dispatcher: over a real Redis, with a client that the test plays."""

from __future__ import annotations

import pytest

from channel_layer.protocol import packets
from channel_layer.protocol.events import Event
from channel_layer.settings import RedisSettings
from interface_server.connections.interfaces import EndReason
from tests.support.both_dispatchers import (
    MALFORMED_EITHER_WAY,
    RecordedHost,
    RecordedInstance,
    adopted,
    interface,
    knock,
    worker,
)
from tests.support.facts import until
from worker.connections.downstream import Ownership


class CompletesHandedOff(RecordedInstance):
    """An instance with a mistake: it completes a connection that was handed off."""

    def deliver(self, event: Event, size_bytes: int) -> None:
        self.downstream.ownership = Ownership.HANDED_OFF
        self.downstream.complete()


@pytest.mark.parametrize("name", MALFORMED_EITHER_WAY)
async def test_what_its_interface_server_says_and_nobody_understands_ends_a_connection_visibly(
    redis_settings: RedisSettings, name: str
) -> None:
    """P1, P12. The instance hears its disconnect, the client its end, and nobody else anything."""
    kind, *rest = MALFORMED_EITHER_WAY[name]
    host = RecordedHost()
    async with interface(redis_settings) as server, worker(redis_settings, host) as dispatcher:
        bystander, client = knock(server, kind="websocket"), knock(server, kind="websocket")
        await adopted(host, 2)
        other, hurt = sorted(host.instances, key=lambda run: run.downstream.key[1] == client.upstream.connection.number)
        server.node.post(dispatcher.node.name, (kind, client.upstream.connection.number, 1, *rest))
        await until(lambda: client.end_reason is EndReason.UNKNOWN and hurt.disconnects)
        assert hurt.disconnects == [(1006, "")]
        assert dispatcher.counters["packets.malformed"] == 1
        assert (bystander.end_reason, other.disconnects, len(dispatcher.downstreams)) == (None, [], 1)
        bystander.upstream.leave()
        await until(lambda: not dispatcher.downstreams)


async def test_nonsense_of_somebody_else_ends_no_connection(redis_settings: RedisSettings) -> None:
    """P2, P12. A connection has one interface server: the number and epoch of another's are another connection's."""
    host = RecordedHost()
    async with interface(redis_settings) as server, worker(redis_settings, host) as dispatcher:
        client = knock(server, kind="websocket")
        instance = await adopted(host)
        async with interface(redis_settings) as stranger:
            for kind, *rest in MALFORMED_EITHER_WAY.values():
                stranger.node.post(dispatcher.node.name, (kind, client.upstream.connection.number, 1, *rest))
            stranger.node.post(dispatcher.node.name, (packets.DATA, [], 1, 1, []))
            await until(lambda: dispatcher.counters["packets.malformed"] == 1)
            client.upstream.forward({"type": "websocket.receive", "text": "still here"}, 74)
            await until(lambda: instance.fed and dispatcher.node._outbox.empty)
            assert (client.end_reason, instance.disconnects) == (None, [])
            client.upstream.leave()
            await until(lambda: not dispatcher.downstreams)


async def test_a_connection_that_says_what_cannot_be_packed_costs_the_others_of_its_turn_nothing(
    redis_settings: RedisSettings,
) -> None:
    """P1, P12. All of one turn leave together; one mistake ends its own connection, visibly, and holds up nobody."""
    host = RecordedHost()
    async with interface(redis_settings) as server, worker(redis_settings, host) as dispatcher:
        clients = [knock(server, kind="websocket") for _ in range(3)]
        await adopted(host, 3)
        first, hurt, last = sorted(host.instances, key=lambda run: run.downstream.key[1])
        for instance, text in ((first, "one"), (hurt, object()), (last, "three")):
            instance.downstream.send({"type": "websocket.send", "text": text}, 74)
        await until(lambda: clients[1].end_reason is EndReason.UNKNOWN and clients[0].events and clients[2].events)
        assert [client.end_reason for client in clients] == [None, EndReason.UNKNOWN, None]
        assert hurt.disconnects == [(1006, "")] and len(dispatcher.downstreams) == 2
        for client in (clients[0], clients[2]):
            client.upstream.leave()
        await until(lambda: not dispatcher.downstreams)


async def test_an_illegal_move_is_counted_as_our_own_error_and_does_not_stop_the_rest_of_its_batch(
    redis_settings: RedisSettings, caplog: pytest.LogCaptureFixture
) -> None:
    """P1, P12. It ends its own connection visibly; the inbox is read on, and no interface server is blamed."""
    host = RecordedHost()
    async with interface(redis_settings) as server, worker(redis_settings, host) as dispatcher:
        clients = [knock(server, kind="websocket") for _ in range(3)]
        await adopted(host, 3)
        first, hurt, last = sorted(host.instances, key=lambda run: run.downstream.key[1])
        hurt.downstream.instance = completing = CompletesHandedOff(hurt.scope, b"", False, hurt.downstream)
        for client in clients:
            client.upstream.forward({"type": "websocket.receive", "text": "one"}, 74)
        await until(lambda: first.fed and completing.disconnects and last.fed and clients[1].end_reason)
        assert [client.end_reason for client in clients] == [None, EndReason.UNKNOWN, None]
        assert completing.disconnects == [(1006, "")] and len(dispatcher.downstreams) == 2
        assert dispatcher.counters["internal.illegal_transition"] == 1
        assert dispatcher.counters["packets.malformed"] == 0
        assert "an internal error" in caplog.text and "COMPLETED while HANDED_OFF" in caplog.text
        clients[2].upstream.forward({"type": "websocket.receive", "text": "two"}, 74)
        await until(lambda: len(last.fed) == 2)
        for client in (clients[0], clients[2]):
            client.upstream.leave()
        await until(lambda: not dispatcher.downstreams)
