"""The lines of WebSockets in a measured access log: written when the handshake is answered, by the application or by the server."""

from __future__ import annotations

import pytest

from channel_layer.protocol.events import Event
from interface_server.connections.interfaces import EndReason
from interface_server.settings import InterfaceSettings
from tests.support.facts import until
from tests.support.websocket_server import RawClient, served, upgrade_request

MEASURED = InterfaceSettings(access_log_format='%(r)s %(s)s %(B)s "%({host}i)s" "%({x-a}o)s" %(connection)s %(reason)s')
REQUEST = "GET /chat?room=lock HTTP/1.1"
START: Event = {"type": "websocket.http.response.start", "status": 418, "headers": [(b"x-a", b"tea")]}


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        ([{"type": "websocket.accept", "headers": [(b"x-a", b"1")]}], '101 0 "towpath.test" "1" {} -'),
        ([START, {"type": "websocket.http.response.body", "body": b"short"}], '418 5 "towpath.test" "tea" {} -'),
        (
            [{"type": "websocket.close", "code": 1000, "reason": ""}],
            '403 38 "towpath.test" "-" {} the application refused the WebSocket',
        ),
    ],
)
async def test_a_handshake_has_its_line_with_its_connection_and_what_it_was_answered(
    caplog: pytest.LogCaptureFixture, answer: list[Event], line: str
) -> None:
    """Accepted, denied with a response of the application's own, or refused."""
    caplog.set_level("INFO", "towpath.access")
    async with served(MEASURED) as server:
        client, downstream = await server.connect(accept=False)
        assert not caplog.messages
        downstream.say(*answer)
        await client.head()
        await until(lambda: bool(caplog.messages))
        client.vanish()
    assert caplog.messages == [f"{REQUEST} {line.format(downstream.channel)}"]


async def test_a_handshake_that_loses_its_worker_is_found_by_its_connection(caplog: pytest.LogCaptureFixture) -> None:
    """The lines of the application that failed have the same."""
    caplog.set_level("INFO", "towpath.access")
    async with served(MEASURED) as server:
        client, downstream = await server.connect(accept=False)
        downstream.client.end(EndReason.FAILED)
        await client.rest()
    (line,) = caplog.messages
    assert line.startswith(f"{REQUEST} 500 ") and f" {downstream.channel} " in line


async def test_a_handshake_that_no_worker_sees_has_no_connection(caplog: pytest.LogCaptureFixture) -> None:
    """P12."""
    caplog.set_level("INFO", "towpath.access")
    async with served(MEASURED) as server:
        client = await RawClient.connect(server.port)
        client.send(upgrade_request(version=b"12"))
        await client.rest()
    (line,) = caplog.messages
    assert line.startswith(f"{REQUEST} 426 ") and line.endswith(" - this server speaks WebSocket version 13")
