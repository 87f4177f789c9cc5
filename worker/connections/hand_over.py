"""Asks instances to go, some at a time, so that the workers that take over meet no herd."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from worker.connections.downstream import DownstreamConnection
from worker.connections.interfaces import Instance

AT_ONCE = 50  #: hand-offs, or ends of event streams, at one look


def ask_some(downstreams: Iterable[DownstreamConnection], ask: Callable[[Instance], bool], most: int = AT_ONCE) -> int:
    """How many have said yes: `most` at the most. Others (no accept so far, a response that has not begun) may be asked again."""
    willing = 0
    for downstream in downstreams:
        if willing == most:
            break
        if downstream.open and downstream.instance is not None and ask(downstream.instance):
            willing += 1
    return willing
