"""What a worker still does, and does no more, when it was asked to stop."""

from __future__ import annotations

from channel_layer.settings import WireSettings
from tests.facts import until
from tests.wire.both_pumps import RecordedRoom, adopted, interface, knock, respond, worker


async def test_what_was_said_before_the_end_is_sent_before_the_end(wire_settings: WireSettings) -> None:
    """P7. The application is done, and more waits than one batch holds: a response is not cut by the worker's leaving."""
    part = {"type": "http.response.body", "body": b"x" * 65_472, "more_body": True}
    room = RecordedRoom()
    async with interface(wire_settings) as door:
        async with worker(wire_settings, room):
            client = knock(door)
            instance = await adopted(room)
            instance.send({"type": "http.response.start", "status": 200, "headers": []})
            for _ in range(200):
                instance.send(part)
            instance.send({**part, "more_body": False})
            instance.line.complete()
        await until(lambda: len(client.body) == 201 * 65_472)


async def test_who_takes_no_more_does_not_take_what_it_was_waiting_for(wire_settings: WireSettings) -> None:
    """P7. A read that blocks in Redis when the worker is asked to stop brings nothing any more: others take it, and at once."""
    leaves, stays = RecordedRoom(), RecordedRoom(play=respond)
    async with interface(wire_settings) as door, worker(wire_settings, leaves) as leaving:
        first = knock(door)
        await adopted(leaves)
        await leaving.stop_taking()
        second = knock(door)
        async with worker(wire_settings, stays):
            await until(lambda: second.body == b"hello")
        assert len(leaves.instances) == 1
        respond(leaves.instances[0])
        await until(lambda: first.body == b"hello")
