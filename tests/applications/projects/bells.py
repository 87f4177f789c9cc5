"""Bells that one request rings and another hears: how a test and an application agree on the order of things.

A bell stays rung, so it does not matter who comes first. Every wait has an end, so that a broken test cannot hang.
"""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict

WAIT_S = 15.0

_words: dict[str, str] = {}
_bells: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
_thread_bells: defaultdict[str, threading.Event] = defaultdict(threading.Event)


def ring(name: str, word: str = "rung") -> None:
    """For everybody who waits for `name`, now or later; `word` is what they hear. On the loop's thread."""
    _words[name] = word
    _bells[name].set()


async def ring_on_loop(name: str, word: str) -> None:
    """For background tasks, whose plain functions run in threads."""
    ring(name, word)


async def heard(name: str) -> str:
    """Wait for the bell, and return the word that it was rung with."""
    await asyncio.wait_for(_bells[name].wait(), WAIT_S)
    return _words[name]


def ring_thread(name: str) -> None:
    _thread_bells[name].set()


def heard_in_thread(name: str) -> bool:
    return _thread_bells[name].wait(WAIT_S)
