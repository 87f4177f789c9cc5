"""The number under which `serve` hands a listening socket down to its processes: supervisord leaves it open in its children."""

from __future__ import annotations

import os

from towpath.runtime.worker_environment import RUN_DIR
from towpath.supervisord.conf import DESCRIPTORS_CLOSED_BELOW

HANDED_DOWN = DESCRIPTORS_CLOSED_BELOW
HANDED_DOWN_END = HANDED_DOWN + 100  #: descriptors above may belong to the application


def close_handed_down() -> None:
    """Close it in a process of a `serve` that is no interface server.

    A process that the application starts would keep it open for as long as it lives, and clients would wait there for ever.
    """
    if RUN_DIR in os.environ:
        os.closerange(HANDED_DOWN, HANDED_DOWN_END)
