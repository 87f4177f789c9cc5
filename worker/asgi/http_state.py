"""What an application may say to answer one HTTP request, and in which order.

    SILENT ──start──▶ STARTED ──last body──▶ COMPLETE
       └────────────────┴──client gone──▶ GONE

Each event is copied into a dict of ASGI's types alone: what leaves for the wire is never an object that the application
still holds and may change. Unknown keys are left out, as the specification asks for.

Once the client has left, what the application says is dropped without a word: that is ASGI 2.3, which the scope announces.
Background work, `yield` dependencies and cleanup after a response then run as if it had been read. `DiscardedEvents` bounds that.

No task, line or clock here; the shell (http.py) obeys. Source: ASGI specification, "HTTP & WebSocket".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from math import inf
from typing import Any

from channel_layer.protocol.events import EVENT_OVERHEAD_BYTES, Event
from worker.asgi.header_fields import checked_fields
from worker.errors import ApplicationError, ClientGone, InvalidEvent, WrongOrder

#: The most that one event carries; what is longer is cut. PROTOCOL.md, "Events: HTTP".
PART_SIZE_BYTES_MAX = 65_536

#: What may be said to a client that has left, before `send()` raises: so many events, and a few of them at any time, others
#: for so long. An endless stream comes to an end of both. What answers a request, tidies up behind it, or writes down what it
#: has streamed comes to neither.
DISCARDED_EVENTS_MAX = 10_000
DISCARDED_EVENTS_AT_ANY_TIME, DISCARDED_S_MAX = 10, 60.0

#: Between such events others run. Not after each: frameworks cancel a stream whose client has left, and the cancellation
#: has to meet it where it waits for its next item, to close what it has open there, rather than in `send()`.
DISCARDED_AT_ONCE = 10

#: The event as it travels, its size, and the stage that follows.
Step = tuple[Event, int, "HttpStage"]


class HttpStage(Enum):
    """How far a response is. `legal` holds what may be said now: an event's type, and who checks it."""

    SILENT = "the response has not started"
    STARTED = "the response has started"
    COMPLETE = "the response is complete"
    GONE = "the connection has ended"

    def __init__(self, meaning: str) -> None:
        self.meaning = meaning
        self.legal: dict[Any, Callable[[Event], Step]] = {}


# Looking a member up in its class costs more than the rest of a step.
SILENT, STARTED, COMPLETE, GONE = HttpStage


def http_step(stage: HttpStage, event: Any) -> Step:
    """Check one event of the application's in `stage`.

    Raises InvalidEvent for what no response may hold, WrongOrder for what this one may not hold now, and ClientGone.
    """
    try:
        check = stage.legal[event["type"]]
    except (KeyError, TypeError):
        raise wrong_event(stage, event, KNOWN) from None
    return check(event)


@dataclass(slots=True)
class DiscardedEvents:
    """Counts what an application says to a client that has left, since the first such event at `since` (seconds).

    finite: the response has announced its length. A file is sent to its end, for what its sender does afterwards (the
    removal of a temporary file) is worth more than the reading that is spared.
    """

    since: float
    finite: bool
    events: int = 0

    @classmethod
    def exhausted(cls) -> DiscardedEvents:
        """A count to which each further event is one too many."""
        return cls(-inf, finite=False, events=DISCARDED_EVENTS_MAX)

    def goes_on(self, now: float) -> bool:
        """Count one event more. True if there seems to be no end of them."""
        self.events += 1
        if self.events > DISCARDED_EVENTS_MAX and not self.finite:
            return True
        return self.events > DISCARDED_EVENTS_AT_ANY_TIME and now - self.since >= DISCARDED_S_MAX


def announces_length(start: Any) -> bool:
    """True if `start` is the start of a response, with a Content-Length."""
    try:
        checked, _, _ = http_step(SILENT, start)
    except ApplicationError:
        return False
    return any(name.lower() == b"content-length" for name, _ in checked["headers"])


def checked_start(event: Event) -> Event:
    """A `….response.start`: status from 200 to 999 (nothing interim is an answer), and header fields that cannot break out."""
    status = event.get("status")
    if type(status) is not int:
        if not isinstance(status, int) or isinstance(status, bool):
            raise InvalidEvent(f"status is of type {type(status).__name__}; it is an int")
        status = int(status)
    if not 200 <= status <= 999:
        raise InvalidEvent(f"status is {status}, which is not from 200 to 999")
    return {"type": event["type"], "status": status, "headers": checked_fields(event.get("headers"))}


def checked_body(event: Event) -> Event:
    """A `….response.body`: the body as bytes of its own, and whether more follows."""
    body = event.get("body", b"")
    if type(body) is not bytes:
        body = as_bytes(body, "body")
    return {"type": event["type"], "body": body, "more_body": bool(event.get("more_body"))}


def as_bytes(value: Any, path: str) -> bytes:
    """Bytes out of anything that is bytes at heart: frameworks stream memoryviews and bytearrays as they come."""
    if value is None:
        return b""
    if not isinstance(value, bytes | bytearray | memoryview):
        raise InvalidEvent(f"{path} is of type {type(value).__name__}; it is bytes")
    return bytes(value)


def body_parts(event: Event) -> Iterator[tuple[Event, int]]:
    """A long body as several events with their sizes; all but the last say that more follows."""
    body, last_start = event["body"], len(event["body"]) - PART_SIZE_BYTES_MAX
    for start in range(0, len(body), PART_SIZE_BYTES_MAX):
        part = body[start : start + PART_SIZE_BYTES_MAX]
        more = event["more_body"] or start < last_start
        yield {"type": event["type"], "body": part, "more_body": more}, len(part) + EVENT_OVERHEAD_BYTES


def wrong_event(stage: Any, event: Any, known: frozenset[str]) -> Exception:
    """The error for an event that is not legal now. `known`: types that are legal at some time, in this protocol."""
    if stage.legal is NOTHING:
        return ClientGone(stage.meaning)
    if not isinstance(event, dict):
        return InvalidEvent(f"an event is a dict, not of type {type(event).__name__}")
    kind = event.get("type")
    if not isinstance(kind, str):
        return InvalidEvent("the event's type is missing or not a str")
    if kind not in known:
        return InvalidEvent(f"{kind!r} is no event of this protocol, and of no extension that was offered")
    legal = " or ".join(repr(name) for name in stage.legal) or "nothing"
    return WrongOrder(f"{kind!r} cannot be sent now: {stage.meaning}; expected {legal}")


#: What may be said to nobody: the mark of a stage where every `send()` is ClientGone.
NOTHING: dict[Any, Any] = {}


def _start(event: Event) -> Step:
    return checked_start(event), EVENT_OVERHEAD_BYTES, STARTED


def _body(event: Event) -> Step:
    checked = checked_body(event)
    stage = STARTED if checked["more_body"] else COMPLETE
    return checked, len(checked["body"]) + EVENT_OVERHEAD_BYTES, stage


SILENT.legal["http.response.start"] = _start
STARTED.legal["http.response.body"] = _body
GONE.legal = NOTHING

KNOWN = frozenset(("http.response.start", "http.response.body"))
