"""Checks the events of an HTTP response: which ones an application may send, and in which order.

    SILENT ──start──▶ STARTED ──last body──▶ COMPLETE
    any ──client gone──▶ GONE

Each event is copied into a dict of ASGI's types alone: an object that the application still holds and may change is never
sent. Unknown keys are left out, as the specification demands.

Once the client has left, the application's events are discarded silently: so ASGI 2.3 demands, which the scope announces.
Background work, `yield` dependencies and cleanup after a response then run as if it had been read. `DiscardedEvents` bounds that.

No task, connection or clock here; http.py is the shell. Source: ASGI specification, "HTTP & WebSocket".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from math import inf
from typing import Any, Final

from channel_layer.protocol.events import EVENT_OVERHEAD_BYTES, Event
from worker.asgi.header_fields import checked_fields
from worker.errors import ApplicationError, ClientGone, InvalidEvent, WrongOrder

#: The most that one event carries; a longer part is cut. PROTOCOL.md, "Events: HTTP".
PART_SIZE_BYTES_MAX: Final = 65_536

#: Events that are discarded after the client has left, before `send()` raises: so many in total; a few of them at any time, the
#: others for so long. An endless stream reaches both limits. An application that answers a request, cleans up after it, or records
#: the parts that it has streamed, reaches neither.
DISCARDED_EVENTS_MAX: Final = 10_000
DISCARDED_EVENTS_AT_ANY_TIME: Final = 10
DISCARDED_S_MAX: Final = 60.0

#: After so many such events other tasks run. Not after each: when a client has left, frameworks cancel its stream, and the cancellation
#: must reach it where it waits for its next item, to close what it has open there, rather than in `send()`.
DISCARDED_AT_ONCE: Final = 10

#: The event as it travels, its size, and the stage that follows.
Step = tuple[Event, int, "HttpStage"]


class HttpStage(Enum):
    """The state of a response. LEGAL has the events that may be sent in each."""

    __hash__ = object.__hash__  # by identity; Enum's own is Python code, and stands in every look-up

    SILENT = "the response has not started"
    STARTED = "the response has started"
    COMPLETE = "the response is complete"
    GONE = "the connection has ended"

    @property
    def meaning(self) -> str:
        """The state in words, for messages."""
        return str(self.value)


# Looking up a member in its class costs more than the rest of a step.
SILENT: Final = HttpStage.SILENT
STARTED: Final = HttpStage.STARTED
COMPLETE: Final = HttpStage.COMPLETE
GONE: Final = HttpStage.GONE


def http_step(stage: HttpStage, event: Any) -> Step:
    """Check one event of the application in `stage`.

    Raises InvalidEvent for an event that no response may have, WrongOrder for one that may not come now, and ClientGone.
    """
    try:
        check = LEGAL[stage][event["type"]]
    except (KeyError, TypeError):
        raise wrong_event(stage.meaning, LEGAL[stage], event, KNOWN) from None
    return check(event)


#: From each stage to the one after the connection has ended, the move that no event of the application makes. A second end is
#: ordinary: an instance whose client has left may be stopped.
AFTER_DISCONNECT: Final = dict.fromkeys(HttpStage, GONE)


def disconnect_step(stage: HttpStage) -> HttpStage:
    """The stage after the connection has ended."""
    return AFTER_DISCONNECT[stage]


@dataclass(slots=True)
class DiscardedEvents:
    """Counts the events that an application sends to a client that has left.

    since: the time of the first, in seconds.
    finite: the response has announced its length. A file is read to its end, since what the application does afterwards
    (removing a temporary file) is worth more than the reading that would be saved.
    """

    since: float
    finite: bool
    events: int = 0

    @classmethod
    def exhausted(cls) -> DiscardedEvents:
        """A count that no further event may increase."""
        return cls(-inf, finite=False, events=DISCARDED_EVENTS_MAX)

    def count_event(self, now: float) -> bool:
        """Count one more event. True if the events seem to be endless."""
        self.events += 1
        if self.events > DISCARDED_EVENTS_MAX and not self.finite:
            return True
        return self.events > DISCARDED_EVENTS_AT_ANY_TIME and now - self.since >= DISCARDED_S_MAX


def announces_length(start: Any) -> bool:
    """True if `start` is the start of a response with a Content-Length."""
    try:
        checked, _, _ = http_step(SILENT, start)
    except ApplicationError:
        return False
    return any(name.lower() == b"content-length" for name, _ in checked["headers"])


def checked_start(event: Any) -> Event:
    """A checked `….response.start`: status from 200 to 999 (interim responses are not allowed), and safe header fields."""
    status = event.get("status")
    if type(status) is not int:
        if not isinstance(status, int) or isinstance(status, bool):
            raise InvalidEvent(f"status is of type {type(status).__name__}; it is an int")
        status = int(status)
    if not 200 <= status <= 999:
        raise InvalidEvent(f"status is {status}, which is not from 200 to 999")
    return {"type": event["type"], "status": status, "headers": checked_fields(event.get("headers"))}


def checked_body(event: Any) -> Event:
    """A checked `….response.body`: the body as a copy, and whether more follows."""
    body = event.get("body", b"")
    if type(body) is not bytes:
        body = as_bytes(body, "body")
    return {"type": event["type"], "body": body, "more_body": bool(event.get("more_body"))}


def as_bytes(value: Any, path: str) -> bytes:
    """Bytes from anything like bytes: frameworks stream memoryviews and bytearrays as they come."""
    if value is None:
        return b""
    if not isinstance(value, bytes | bytearray | memoryview):
        raise InvalidEvent(f"{path} is of type {type(value).__name__}; it is bytes")
    return bytes(value)


def body_parts(event: Event) -> Iterator[tuple[Event, int]]:
    """A long body as several events with their sizes; all but the last have `more_body`."""
    body, last_start = event["body"], len(event["body"]) - PART_SIZE_BYTES_MAX
    for start in range(0, len(body), PART_SIZE_BYTES_MAX):
        part = body[start : start + PART_SIZE_BYTES_MAX]
        more = event["more_body"] or start < last_start
        yield {"type": event["type"], "body": part, "more_body": more}, len(part) + EVENT_OVERHEAD_BYTES


def wrong_event(meaning: str, legal: dict[Any, Any], event: Any, known: frozenset[str]) -> Exception:
    """The exception for an event that is not legal now.

    meaning: the present state in words. legal: the events that may be sent in it. known: types that are legal in some state of this
    protocol.
    """
    if legal is NOTHING:
        return ClientGone(meaning)
    if not isinstance(event, dict):
        return InvalidEvent(f"an event is a dict, not of type {type(event).__name__}")
    kind = event.get("type")
    if not isinstance(kind, str):
        return InvalidEvent("the event's type is missing or not a str")
    if kind not in known:
        return InvalidEvent(f"{kind!r} is no event of this protocol, and of no extension that was offered")
    expected = " or ".join(repr(name) for name in legal) or "nothing"
    return WrongOrder(f"{kind!r} cannot be sent now: {meaning}; expected {expected}")


#: Marks a stage in which every `send()` raises ClientGone.
NOTHING: Final[dict[Any, Any]] = {}


def _start(event: Any) -> Step:
    return checked_start(event), EVENT_OVERHEAD_BYTES, STARTED


def _body(event: Any) -> Step:
    checked = checked_body(event)
    stage = STARTED if checked["more_body"] else COMPLETE
    return checked, len(checked["body"]) + EVENT_OVERHEAD_BYTES, stage


#: From each stage to the types of the events that may be sent in it, with the functions that check them.
LEGAL: Final[dict[HttpStage, dict[Any, Callable[[Any], Step]]]] = {
    SILENT: {"http.response.start": _start},
    STARTED: {"http.response.body": _body},
    COMPLETE: {},
    GONE: NOTHING,
}

KNOWN: Final = frozenset(kind for legal in LEGAL.values() for kind in legal)
