"""What a forked child gives up, in real children."""

from __future__ import annotations

import os

from channel_layer.process.forked_child import give_up_in_children


class Counted:
    """Counts how often it was given up in this process and its parents."""

    def __init__(self) -> None:
        self.count = 0

    def forked(self) -> None:
        """See `Inherited`."""
        self.count += 1


def test_a_grandchild_gives_up_nothing_for_a_second_time() -> None:
    """By then the numbers of its descriptors may belong to others, and what was kept from its finalizer would be let go."""
    ours = Counted()
    give_up_in_children(ours)
    child = os.fork()
    if child == 0:
        own = Counted()
        give_up_in_children(own)
        grandchild = os.fork()
        if grandchild == 0:
            os._exit(0 if (ours.count, own.count) == (1, 1) else 1)
        _, status = os.waitpid(grandchild, 0)
        os._exit(0 if status == 0 and (ours.count, own.count) == (1, 0) else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert ours.count == 0
