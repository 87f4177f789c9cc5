"""Measures the responses of one connection for an access log that shows bytes, seconds and header fields.

It stands between an exchange and its sink, and is the exchange's access log: that names the request and the status, and what passes to
the sink is measured. The line is written when the response is over, at its last byte or where it breaks off. Made where
`--log-format json` or `--access-log-format` is given: no other connection has one.
"""

from __future__ import annotations

from collections.abc import Sequence

from channel_layer.protocol.events import Event
from interface_server.access_log.access_log import AccessLog
from interface_server.access_log.access_writer import AccessWriter
from interface_server.access_log.entry import AccessEntry, Fields, Peer, cut_target
from interface_server.groups.interfaces import PushedMessage
from interface_server.http.interfaces import ResponseSink
from interface_server.http.response import Response


class MeasuredResponse(AccessLog):
    """A `ResponseSink` in front of another, and the access log of its exchange."""

    __slots__ = ("_begun_s", "_body_bytes", "_connection", "_entry", "_fields", "_sink", "_writer")

    def __init__(self, access_log: AccessLog, writer: AccessWriter, sink: ResponseSink) -> None:
        AccessLog.__init__(self, access_log.enabled, access_log.unlogged_paths)
        self._writer = writer
        self._sink = sink
        self._entry: AccessEntry | None = None  # from the beginning of a response until its line is written
        self._begun_s, self._connection = 0.0, ""
        self._fields: Fields = ()  # of the response that passes
        self._body_bytes = 0

    # The access log.

    @property
    def access_log(self) -> AccessLog:
        return self

    def opened(self, channel: str, begun_s: float) -> None:
        """See `AccessLog.opened`."""
        self._begun_s, self._connection = begun_s, channel

    def request(self, event: Event, path: str, target: bytes, status: int, why: str = "") -> None:
        """As AccessLog, once the response is over."""
        if path in self.unlogged_paths:
            return
        entry = AccessEntry(
            client=event["client"],
            method=event["method"],
            target=target,
            version=event["http_version"],
            fields=event["headers"],
            begun_s=self._begun_s,
            connection=self._connection,
        )
        self._answered(entry, status, why)

    def refused(self, client: Peer, method: bytes, target: bytes, status: int, why: str) -> None:
        """As AccessLog, once the response is over."""
        self._answered(
            AccessEntry(client=client, method=method.decode("latin-1"), target=cut_target(target)), status, why
        )

    def finish(self) -> None:
        """Write the line of a response that is over, or whose client has left. Nothing if none has begun."""
        entry, self._entry = self._entry, None
        self._begun_s, self._connection = 0.0, ""
        if entry is not None:
            entry.response_fields, entry.body_bytes = self._fields, self._body_bytes
            self._writer.write(entry)

    def _answered(self, entry: AccessEntry, status: int, why: str) -> None:
        entry.status, entry.why = status, why
        self._entry = entry

    # The sink.

    def send_remembered(self, events: Sequence[Event]) -> bool:
        is_sent = self._sink.send_remembered(events)
        if is_sent:
            self._fields = events[0].get("headers") or ()
            self._body_bytes = sum(len(event.get("body", b"")) for event in events)
        return is_sent

    def headers(self, response: Response) -> None:
        self._fields, self._body_bytes = response.fields, 0
        self._sink.headers(response)

    def data(self, body: bytes, last: bool) -> None:
        self._body_bytes += len(body)
        self._sink.data(body, last)

    def push(self, pushed: PushedMessage) -> None:
        self._body_bytes += len(pushed.event["body"])
        self._sink.push(pushed)

    def flush(self, size_bytes: int) -> bool:
        return self._sink.flush(size_bytes)

    def send_continue(self) -> None:
        self._sink.send_continue()

    def expect_response(self, within_s: float) -> None:
        self._sink.expect_response(within_s)

    def end(self, keep_alive: bool) -> None:
        self.finish()  # first: the next request may begin at once
        self._sink.end(keep_alive)

    def abort(self) -> None:
        self.finish()
        self._sink.abort()
