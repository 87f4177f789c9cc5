"""A measured access log over real sockets: its line is written when the answer is over, with what the answer was."""

from __future__ import annotations

import json
import logging

import pytest

from channel_layer.log_format.json_formatter import JsonFormatter
from channel_layer.protocol.events import Event
from interface_server.settings import InterfaceSettings
from tests.interface_server.http1.test_connection import REFUSED
from tests.support.facts import until
from tests.support.in_process_server import Receive, Send, served

FORM = '%(m)s %(U)s %(s)s %(B)s "%({x-a}o)s" "%({x-b}i)s" %(connection)s %(reason)s'
MEASURED = InterfaceSettings(access_log_format=FORM)
JSON = InterfaceSettings(log_format="json")


@pytest.fixture(autouse=True)
def access_lines(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "towpath.access")


async def parts(scope: Event, receive: Receive, send: Send) -> None:
    """Answers at once, in parts after the client has sent its body, or not to its end."""
    path = scope["path"]
    headers = [(b"x-a", b'"A"'), *([(b"content-length", b"6")] if path == "/short" else [])]
    if path == "/none":
        return
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if path == "/quick":
        await send({"type": "http.response.body", "body": b"123456"})
        return
    await send({"type": "http.response.body", "body": b"123", "more_body": True})
    if path == "/parts":
        await receive()
        await send({"type": "http.response.body", "body": b"456"})
    if path == "/wait":
        await receive()
        while (await receive())["type"] != "http.disconnect":
            pass


@pytest.mark.parametrize(
    ("request_bytes", "line"),
    [
        (b"GET /quick?q HTTP/1.1\r\nHost: a\r\nX-B: b\"\r\n", r'GET /quick 200 6 "\"A\"" "b\"" test!0 -'),
        (b"HEAD /quick HTTP/1.1\r\nHost: a\r\n", r'HEAD /quick 200 0 "\"A\"" "-" test!0 -'),
        (b"GET /parts HTTP/1.1\r\nHost: a\r\n", r'GET /parts 200 6 "\"A\"" "-" test!0 -'),
        (b"GET /short HTTP/1.1\r\nHost: a\r\n", r'GET /short 200 3 "\"A\"" "-" test!0 -'),
        (b"GET /none HTTP/1.1\r\nHost: a\r\n", 'GET /none 500 58 "-" "-" test!0 the application'),
    ],
)  # fmt: skip
async def test_a_line_has_the_figures_of_the_whole_answer(
    caplog: pytest.LogCaptureFixture, request_bytes: bytes, line: str
) -> None:
    """Written at once, in parts, broken off, or by the server itself; twice on one connection."""
    async with served(parts, MEASURED) as server:
        await server.ask(request_bytes + b"Connection: close\r\n\r\n")
        await until(lambda: bool(caplog.messages))
    (shown,) = caplog.messages
    assert shown.startswith(line.replace(" 58 ", f" {shown.split(' ')[3]} "))


async def test_the_line_of_a_long_answer_is_written_when_its_client_leaves(caplog: pytest.LogCaptureFixture) -> None:
    """And not when it begins."""
    async with served(parts, MEASURED) as server:
        client = await server.connect()
        client.write(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
        await client.reader.readuntil(b"123")
        assert not caplog.messages
        client.reset()
        await until(lambda: bool(caplog.messages))
    assert caplog.messages == [r'GET /wait 200 3 "\"A\"" "-" test!0 -']


async def test_requests_of_one_connection_have_each_its_own_line_and_health_has_none(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Also those that come together."""
    async with served(parts, MEASURED) as server:
        client = await server.connect()
        get = b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n"
        client.write(get % b"/quick" + get % b"/-/health/live" + get % b"/parts" + get % b"/quick")
        for _ in range(4):
            await client.response()
    assert [line.split(" ")[1::5] for line in caplog.messages] == [
        ["/quick", "test!0"],
        ["/parts", "test!1"],
        ["/quick", "test!2"],
    ]


@pytest.mark.parametrize(("request_bytes", "line"), REFUSED.values(), ids=REFUSED)
async def test_a_refused_request_has_the_line_that_it_has_everywhere(
    caplog: pytest.LogCaptureFixture, request_bytes: bytes, line: str
) -> None:
    """P12. In JSON with the same text, and as fields."""
    limits = InterfaceSettings(
        log_format="json",
        target_size_bytes_max=1000,
        head_size_bytes_max=8000,
        header_fields_max=3,
        body_size_bytes_max=8,
        head_timeout_s=0.1,
    )
    async with served(parts, limits) as server:
        answer = await server.ask(request_bytes)
    (record,) = caplog.records
    fields = json.loads(JsonFormatter().format(record))
    assert fields["message"].endswith(" - " + line)
    assert f" - {line} ".count(f" {fields['status']} ({fields['reason']})") == 1
    assert fields["bytes"] == len(answer.partition(b"\r\n\r\n")[2])


async def test_json_has_the_fields_and_the_time_until_the_last_byte(caplog: pytest.LogCaptureFixture) -> None:
    """With the line that it would have as text, as its message."""
    async with served(parts, JSON) as server:
        await server.ask(b"GET /parts?a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        await until(lambda: bool(caplog.records))
    fields = json.loads(JsonFormatter("interface-0").format(caplog.records[0]))
    assert fields["message"] == f'{fields["client"]} - "GET /parts?a HTTP/1.1" 200'
    assert (fields["connection"], fields["method"], fields["target"]) == ("test!0", "GET", "/parts?a")
    assert (fields["status"], fields["bytes"]) == (200, 6)
    assert 0 < fields["duration_s"] < 30


@pytest.mark.parametrize(("settings", "measured"), [(InterfaceSettings(), False), (MEASURED, True)])
async def test_a_connection_measures_only_where_an_option_asks_for_it(
    settings: InterfaceSettings, measured: bool
) -> None:
    """By default nothing is counted."""
    async with served(parts, settings) as server:
        client = await server.connect()
        client.write(b"GET /quick HTTP/1.1\r\nHost: a\r\n\r\n")
        await client.response()
        (connection,) = server.factory.http1.connections
        assert (connection.measured is not None) is measured
