"""The garbage collector during tests."""

from __future__ import annotations

import gc


def test_garbage_of_tests_is_collected_and_what_collecting_tests_has_left_is_not_looked_at() -> None:
    """A test that looks for garbage finds its own."""
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0
