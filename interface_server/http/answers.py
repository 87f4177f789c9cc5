"""Complete small responses that the server gives by itself."""

from __future__ import annotations

from typing import Final

from channel_layer.protocol.events import Event
from interface_server.connections.interfaces import EndReason

TEXT: Final = (b"content-type", b"text/plain; charset=utf-8")
RETRY_AFTER: Final = (b"retry-after", b"1")


class RequestError(Exception):
    """Reason not to serve a request, in any version of HTTP. `status` and `why` go to the client; `name` is counted."""

    def __init__(self, status: int, why: str, name: str) -> None:
        super().__init__(status, why)
        self.status = status
        self.why = why
        self.name = name


class Answer:
    """One line of text with its status; `why` is the line for the access log."""

    __slots__ = ("body", "events", "headers", "status", "why")

    def __init__(self, status: int, text: str, *headers: tuple[bytes, bytes]) -> None:
        self.status = status
        self.why = text.rstrip()
        self.body = text.encode()
        self.headers = (TEXT, *headers)
        self.events: tuple[Event, Event] = (
            {"type": "http.response.start", "status": status, "headers": self.headers},
            {"type": "http.response.body", "body": self.body},
        )


INVALID_RESPONSE: Final = Answer(500, "the application sent an invalid response\n")
STOPPED: Final = Answer(502, "the server had to stop before the application answered\n")
STOPPED_BEFORE: Final = Answer(503, "the server had to stop before a worker was known to have begun\n", RETRY_AFTER)
TOO_MANY: Final = Answer(503, "too many connections are under way\n", RETRY_AFTER)
TIMED_OUT: Final = Answer(504, "the application did not answer in time\n")


def answer_to_error(error: RequestError) -> Answer:
    """The answer to a request that is not served."""
    more = ((b"allow", b"GET"),) if error.status == 405 else ()
    return Answer(error.status, error.why + "\n", *more)


def answer_at_stop(may_be_sent_again: bool) -> Answer:
    """The answer to a request that still waits when the process ends: the next server may take it, unless it may have been started."""
    return STOPPED_BEFORE if may_be_sent_again else STOPPED


def answer_to_end(reason: EndReason) -> Answer:
    """The answer to a request that lost its connection to a worker before the response began."""
    more = (RETRY_AFTER,) if reason.status == 503 else ()
    return Answer(reason.status, reason.why + "\n", *more)
