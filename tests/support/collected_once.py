"""Takes what collecting the tests leaves out of the garbage collector's sight: some 190 MiB that stay to the end.

A plugin for pytest, named in tests/conftest.py. Each full collection would walk all of it: a fifth of a simulated schedule's time.
"""

from __future__ import annotations

import gc

gc.disable()


def pytest_collection_finish() -> None:
    """All tests are known. From now on garbage is collected as usual, also by tests that ask for it."""
    gc.collect()
    gc.freeze()
    gc.enable()
