"""The log line for a worker that died with requests in hand: one of them may have been the reason."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

NAMED: Final = 10  #: requests in one line of the log
TARGET_CHARS_MAX: Final = 200


def in_hand(worker: str, requests: Iterable[str], websockets: int) -> str:
    """One line for the log. requests: method and target of each, in order of arrival."""
    texts = [request if len(request) <= TARGET_CHARS_MAX else f"{request[:TARGET_CHARS_MAX]}…" for request in requests]
    named = ", ".join(texts[:NAMED]) + f" and {len(texts) - NAMED} more" * (len(texts) > NAMED)
    sockets = f"{websockets} WebSocket{'s' * (websockets != 1)}" if websockets else ""
    return f"{worker} died while it had {' and '.join(filter(None, (named, sockets)))}"
