"""Who takes new WebSockets while workers of two generations are there. P7."""

from __future__ import annotations

from dataclasses import replace

import pytest

from channel_layer.settings import WireSettings
from channel_layer.succession import GIVES_WAY_S, Succession
from tests.facts import until
from tests.wire.both_pumps import RecordedRoom, interface, knock, worker


def of_generation(wire: WireSettings, number: int) -> WireSettings:
    return replace(wire, generation=f"fleet/{number}")


async def test_a_newer_generation_takes_all_new_websockets_and_any_takes_requests(wire_settings: WireSettings) -> None:
    """P7. What lasts goes to those who stay; what is short goes to whoever is free."""
    old, new = RecordedRoom(), RecordedRoom()
    async with (
        interface(wire_settings) as door,
        worker(of_generation(wire_settings, 1), old) as older,
        worker(of_generation(wire_settings, 2), new),
    ):
        await until(lambda: older.node._succession.gives_way(older._loop.time()), "the news")
        sockets = [knock(door, kind="websocket") for _ in range(40)]
        await until(lambda: all(client.adoptions for client in sockets))
        assert len(new.instances) == 40
        requests = [knock(door) for _ in range(40)]
        await until(lambda: len(old.instances) + len(new.instances) == 80)
        assert old.instances
        for client in [*sockets, *requests]:
            client.upstream.leave()
        await until(lambda: not older.lines and all(run.disconnects for run in new.instances))


async def test_what_a_newer_generation_does_not_take_waits_a_few_seconds_only(wire_settings: WireSettings) -> None:
    """P9's small sister: nobody waits because everybody declines. Here the newer worker has no room."""
    old = RecordedRoom()
    async with (
        interface(wire_settings) as door,
        worker(of_generation(wire_settings, 1), old) as older,
        worker(of_generation(wire_settings, 2), RecordedRoom(slots=0)),
    ):
        await until(lambda: older.node._succession.gives_way(older._loop.time()), "the news")
        sockets = [knock(door, kind="websocket") for _ in range(40)]
        await until(lambda: all(client.adoptions for client in sockets), "adopted", 6.0)
        assert len(old.instances) == 40
        for client in sockets:
            client.upstream.leave()
        await until(lambda: not older.lines)


def test_a_process_gives_way_to_a_higher_number_of_its_fleet_and_only_for_a_while() -> None:
    """A rollout that stops half-way must not leave the older ones idle."""
    one = Succession("web/7")
    for other in ("web/7", "web/6", "mail/8", "8", "web/", "web/-8", "web/eight", ""):
        assert not one.heard(other, 100.0), other
    assert not one.gives_way(100.0)
    assert one.heard("web/8", 100.0)
    assert one.gives_way(100.0 + GIVES_WAY_S - 1)
    assert not one.gives_way(100.0 + GIVES_WAY_S)


def test_who_is_of_no_fleet_gives_way_to_nobody() -> None:
    """As every worker that was not told anything."""
    nobody = Succession("")
    assert not nobody.heard("web/8", 100.0)
    assert not nobody.heard("/8", 100.0)
    with pytest.raises(ValueError, match="such as web/7"):
        Succession("seven")
