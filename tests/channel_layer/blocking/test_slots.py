"""The slots of a pool: never more than the limit, and free again however they were lost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from channel_layer.blocking.slots import Slot, Slots


def test_no_more_than_the_limit_exist() -> None:
    """One that was freed makes way for the next, though it is still referred to."""
    slots = Slots(2)
    first, second = slots.new(), slots.new()
    assert first and second and slots.new() is None and len(slots) == 2
    slots.free(first)
    assert len(slots) == 1 and slots.new() is not None


def test_a_slot_that_nothing_refers_to_is_free() -> None:
    """As after an exception that came before it was stored anywhere."""
    slots = Slots(1)
    for _ in range(3):
        assert slots.new() is not None
    assert len(slots) == 0


def test_threads_never_have_more_than_the_limit_together() -> None:
    """Whatever moment they ask at; and the slots are not used up."""
    slots, excess = Slots(3), []

    def take(_: int) -> None:
        for _ in range(2_000):
            slot = slots.new()
            if slot is not None:
                held.append(slot)
                if len(held) > 3:
                    excess.append(len(held))
                held.remove(slot)
                slots.free(slot)

    held: list[Slot] = []
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(take, range(8)))
    assert not excess and len(slots) == 0


def test_a_slot_without_a_connection_has_none() -> None:
    """Those that are being connected have nothing that a child could close."""
    slots = Slots(2)
    slot = slots.new()
    assert slot is not None and slots.connections() == []
