"""An open WebSocket, over real sockets and frame by frame: messages, control frames, closes, limits."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace

import pytest

from interface_server.connections.interfaces import EndReason
from interface_server.groups.interfaces import PushedMessage
from interface_server.settings import InterfaceSettings
from tests.support.facts import until
from tests.support.websocket_server import Served, client_frame, served

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
QUIET = InterfaceSettings(access_log=False)
IMPATIENT = InterfaceSettings(access_log=False, ws_close_timeout_s=0.05)


def code(number: int, reason: str = "") -> bytes:
    return number.to_bytes(2, "big") + reason.encode()


async def ticks(server: Served, number: int) -> None:
    """Wait for so many ticks: at each, all deadlines are checked."""
    seen: list[float] = []
    server.context.ticker.add(seen.append)
    await until(lambda: len(seen) >= number, "ticks")


@pytest.mark.parametrize("size", [0, 1, 125, 126, 1025, 65_535, 65_536, 2**20])
async def test_a_message_of_any_legal_size_reaches_the_application_and_comes_back(size: int) -> None:
    """P1. Empty ones too; text stays text, bytes stay bytes."""
    async with served(QUIET) as server:
        client, line = await server.connect()
        client.send(client_frame(TEXT, b"x" * size) + client_frame(BINARY, b"y" * size))
        assert await line.heard() == {"type": "websocket.receive", "text": "x" * size}
        assert await line.heard() == {"type": "websocket.receive", "bytes": b"y" * size}
        line.say({"type": "websocket.send", "text": "x" * size}, {"type": "websocket.send", "bytes": b"y" * size})
        assert await client.frame() == (0x81, b"x" * size)
        assert await client.frame() == (0x82, b"y" * size)


async def test_fragments_are_one_message_with_pings_in_between() -> None:
    async with served(QUIET) as server:
        client, line = await server.connect()
        client.send(client_frame(TEXT, b"gr", fin=False))
        client.send(client_frame(CONTINUATION, b"\xc3", fin=False))
        client.send(client_frame(PING, b"there?"))
        client.send(client_frame(CONTINUATION, b"\xbc\xc3\x9fe"))
        assert await client.frame() == (0x8A, b"there?")
        assert await line.heard() == {"type": "websocket.receive", "text": "grüße"}


async def test_bytes_that_trickle_in_one_by_one_are_the_same_messages() -> None:
    async with served(QUIET) as server:
        client, line = await server.connect()
        socket = line.client
        for byte in client_frame(TEXT, b"slow") + client_frame(BINARY, b"z" * 300):
            socket.dataReceived(bytes((byte,)))  # each as a read of its own
        assert await line.heard() == {"type": "websocket.receive", "text": "slow"}
        assert await line.heard() == {"type": "websocket.receive", "bytes": b"z" * 300}
        client.vanish()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(client_frame(TEXT, b"x", masked=False), 1002, id="unmasked"),
        pytest.param(client_frame(TEXT, b"x", rsv=4), 1002, id="rsv without an extension"),
        pytest.param(client_frame(3, b"x"), 1002, id="reserved opcode"),
        pytest.param(client_frame(11, b"x"), 1002, id="reserved control opcode"),
        pytest.param(client_frame(PING, b"x", fin=False), 1002, id="fragmented ping"),
        pytest.param(client_frame(PING, b"x" * 126), 1002, id="long ping"),
        pytest.param(client_frame(CLOSE, b"x"), 1002, id="close of one byte"),
        pytest.param(client_frame(CLOSE, code(1005)), 1002, id="close with 1005"),
        pytest.param(client_frame(CLOSE, code(1000) + b"\xff"), 1007, id="reason that is not UTF-8"),
        pytest.param(client_frame(CONTINUATION, b"x"), 1002, id="continuation of nothing"),
        pytest.param(client_frame(TEXT, b"x", fin=False) + client_frame(TEXT, b"y"), 1002, id="message inside of one"),
        pytest.param(bytes((0x81, 0xFE, 0, 5)) + bytes(9), 1002, id="length not in its shortest form"),
        pytest.param(client_frame(TEXT, b"\xff"), 1007, id="text that is not UTF-8"),
        pytest.param(client_frame(TEXT, b"\xed\xa0\x80"), 1007, id="surrogate"),
        pytest.param(client_frame(TEXT, b"\xc3", fin=False) + client_frame(CONTINUATION), 1007, id="half a character"),
        pytest.param(client_frame(BINARY, bytes(1001)), 1009, id="message too big"),
        pytest.param(
            bytes((0x82, 0xFF)) + (2**40).to_bytes(8, "big") + bytes(4), 1009, id="only its length is too big"
        ),
        pytest.param(
            client_frame(BINARY, bytes(600), fin=False) + client_frame(CONTINUATION, bytes(600)), 1009, id="sum too big"
        ),
    ],
)
async def test_a_broken_rule_closes_with_its_code_and_costs_nobody_else_anything(data: bytes, expected: int) -> None:
    """P12. What came before it is delivered; what comes behind it means nothing."""
    async with served(InterfaceSettings(access_log=False, ws_size_bytes_max=1000)) as server:
        neighbour, neighbours_line = await server.connect()
        client, line = await server.connect()
        client.send(client_frame(TEXT, b"fine") + data + client_frame(TEXT, b"meaningless"))
        first, payload = await client.frame()
        assert (first, int.from_bytes(payload[:2], "big")) == (0x88, expected)
        assert (await line.left())[0] == expected
        assert await line.heard() == {"type": "websocket.receive", "text": "fine"} and line.unread.empty()
        assert await client.rest() == b"", "our direction is closed, without a reset that would destroy the close frame"
        neighbour.send(client_frame(TEXT, b"hello"))
        assert (await neighbours_line.heard())["text"] == "hello"
        assert server.context.counters[f"closed.websocket_{expected}"] == 1


@pytest.mark.parametrize(
    ("payload", "answer", "heard"),
    [
        (b"", b"", (1005, "")),
        (code(1000), code(1000), (1000, "")),
        (code(1001, "bye"), code(1001), (1001, "bye")),
        (code(4321, "früh"), code(4321), (4321, "früh")),
    ],
)
async def test_the_clients_close_is_answered_and_its_code_and_reason_reach_the_application(
    payload: bytes, answer: bytes, heard: tuple[int, str]
) -> None:
    async with served(QUIET) as server:
        client, line = await server.connect()
        client.send(client_frame(TEXT, b"last words") + client_frame(CLOSE, payload))
        assert await client.frame() == (0x88, answer)
        assert await client.rest() == b""
        assert await line.left() == heard
        assert (await line.heard())["text"] == "last words"
        await until(lambda: server.context.under_way == 0, "the socket is forgotten")


async def test_the_applications_close_reaches_the_client_and_the_server_hangs_up_after_the_answer() -> None:
    async with served(QUIET) as server:
        client, line = await server.connect()
        line.say({"type": "websocket.close", "code": 4001, "reason": "enough"})
        line.say({"type": "websocket.send", "text": "late"})
        assert await client.frame() == (0x88, code(4001, "enough"))
        assert await line.left() == (4001, "enough")
        client.send(client_frame(TEXT, b"late too") + client_frame(PING) + client_frame(CLOSE, code(4001)))
        assert await client.rest() == b"" and line.unread.empty()


async def test_an_event_that_no_socket_knows_does_no_harm_behind_a_close() -> None:
    """P12. Both may come in one packet of a worker: the client gets its close, and nothing is raised into the dispatcher."""
    async with served(QUIET) as server:
        client, line = await server.connect()
        line.client.deliver([{"type": "websocket.close", "code": 4000}, {"type": "no such event"}], 128)
        assert await client.frame() == (0x88, code(4000))
        client.send(client_frame(CLOSE, code(4000)))
        assert await client.rest() == b""


async def test_who_does_not_answer_a_close_is_cut_off() -> None:
    async with served(IMPATIENT) as server:
        client, line = await server.connect()
        line.say({"type": "websocket.close", "code": 1000, "reason": ""})
        await client.frame()
        assert await client.rest() == b""
        await until(lambda: server.context.under_way == 0, "the socket is forgotten")


async def test_a_client_that_vanishes_is_1006() -> None:
    """P8's little sister: the application hears at once."""
    async with served(QUIET) as server:
        client, line = await server.connect()
        client.send(client_frame(TEXT, b"half", fin=False))
        client.vanish()
        assert await line.left() == (1006, "")


async def test_a_half_closed_client_is_a_client_that_left() -> None:
    async with served(QUIET) as server:
        client, line = await server.connect()
        client.writer.write_eof()
        assert await line.left() == (1006, "")
        assert await client.rest() == b""


async def test_a_message_in_parts_is_one_fragmented_message_and_pushes_do_not_break_into_it() -> None:
    """P1. A long message is cut by the worker; what a group sends meanwhile comes after it."""
    async with served(QUIET) as server:
        client, line = await server.connect()
        line.say({"type": "websocket.send", "text": "to", "more_body": True})
        line.client.push(PushedMessage({"type": "websocket.send", "text": "pushed"}))
        line.say({"type": "websocket.send", "text": "w", "more_body": True}, {"type": "websocket.send", "text": "path"})
        line.say({"type": "websocket.send", "text": "next"})
        frames = [await client.frame() for _ in range(5)]
        assert frames == [(0x01, b"to"), (0x00, b"w"), (0x80, b"path"), (0x81, b"pushed"), (0x81, b"next")]


async def test_a_pushed_message_is_framed_once_and_written_to_all() -> None:
    """P10, the interface server's half of it."""
    async with served(QUIET) as server:
        members = [await server.connect() for _ in range(3)]
        pushed = PushedMessage({"type": "websocket.send", "bytes": b"to all"})
        for _, line in members:
            line.client.push(pushed)
        assert pushed.frame == b"\x82\x06to all"
        for client, _ in members:
            assert await client.frame() == (0x82, b"to all")


async def test_what_third_parties_may_not_say_is_dropped_and_counted() -> None:
    """P12."""
    async with served(QUIET) as server:
        _, waiting_line = await server.connect(accept=False)
        waiting_line.client.push(PushedMessage({"type": "websocket.send", "text": "too early"}))
        client, line = await server.connect()
        for event in ({"type": "websocket.accept"}, {"type": "http.response.body"}, {}):
            line.client.push(PushedMessage(event))
        for event in ({"type": "websocket.send"}, {"type": "websocket.send", "text": 5}):
            line.client.push(PushedMessage(event))
        line.client.push(PushedMessage({"type": "websocket.close", "code": 4000, "reason": "kicked"}))
        assert await client.frame() == (0x88, code(4000, "kicked"))
        assert await line.left() == (4000, "kicked")
        line.client.push(PushedMessage({"type": "websocket.send", "text": "too late"}))
        counters = server.context.counters
        assert (counters["dropped.push_not_open"], counters["dropped.push_invalid"]) == (4, 2)
        assert counters["dropped.push_to_websocket"] == 1


@pytest.mark.parametrize(
    "event",
    [
        {"type": "websocket.send"},
        {"type": "websocket.send", "text": "\ud800"},
        {"type": "websocket.send", "bytes": "text"},
        {"type": "http.response.start", "status": 200},
        {"type": "websocket.http.response.start", "status": 200},
    ],
)
async def test_an_application_that_sends_nonsense_is_1011_to_its_client(event: dict[str, object]) -> None:
    """P12. The worker checks first; if one does not, the client still gets a defined end."""
    async with served(QUIET) as server:
        client, line = await server.connect()
        line.client.deliver([event], 64)
        first, payload = await client.frame()
        assert (first, int.from_bytes(payload[:2], "big")) == (0x88, 1011)
        assert (await line.left())[0] == 1011


async def test_an_open_socket_swallows_the_accept_of_its_next_owner() -> None:
    async with served(QUIET) as server:
        client, line = await server.connect()
        line.say({"type": "websocket.accept", "subprotocol": None, "headers": []})
        line.say({"type": "websocket.send", "text": "from the next owner"})
        assert await client.frame() == (0x81, b"from the next owner")


async def test_pings_are_sent_by_the_server_and_a_silent_client_is_closed_with_1011() -> None:
    settings = InterfaceSettings(access_log=False, ws_ping_interval_s=0.05, ws_ping_timeout_s=0.1)
    async with served(settings) as server:
        client, line = await server.connect()
        for _ in range(5):  # longer than the timeout, and alive: it answers
            assert await client.frame() == (0x89, b"")
            client.send(client_frame(PONG))
        while (frame := await client.frame()) == (0x89, b""):
            pass
        assert frame == (0x88, code(1011, "ping timeout"))
        assert await line.left() == (1006, "ping timeout"), "for the application it went without a close"


async def test_while_reading_is_paused_no_ping_is_due_and_no_pong_is_missed() -> None:
    """P5. An application that is slow to receive must not cost its client the connection."""
    settings = InterfaceSettings(access_log=False, ws_ping_interval_s=0.03, ws_ping_timeout_s=0.03)
    async with served(settings) as server:
        client, line = await server.connect()
        line.has_credit = False
        client.send(client_frame(TEXT, b"the last that fits"))
        await line.heard()
        await ticks(server, 10)
        assert not line.gone.done()
        line.has_credit = True
        line.client.resume()
        client.send(client_frame(CLOSE, code(1000)))
        assert await line.left() == (1000, "")


async def test_the_window_bounds_what_is_forwarded_and_the_rest_is_delivered_after_it_opens() -> None:
    """P5 and P1. A read full of small messages does not run far over the window, and order is kept."""
    async with served(QUIET) as server:
        client, line = await server.connect()
        line.has_credit = False
        count = 20_000
        client.send(b"".join(client_frame(TEXT, b"%d" % number) for number in range(count)))
        await line.heard()
        assert line.unread.qsize() <= 4096 // 7
        line.has_credit = True
        line.client.resume()
        for number in range(1, count):
            assert (await line.heard())["text"] == str(number)


@pytest.mark.parametrize("opcode", [PING, CONTINUATION, CLOSE])
async def test_a_read_full_of_the_smallest_frames_holds_nobody_up(opcode: int) -> None:
    """P12. Of forty thousand frames in one read some thousand are parsed, then others have their turn; all arrive."""
    async with served(QUIET) as server:
        client, line = await server.connect()
        socket = line.client
        frames = b"" if opcode != CONTINUATION else client_frame(BINARY, b"", fin=False)
        frames += client_frame(opcode, fin=opcode != CONTINUATION) * 40_000
        if opcode == CLOSE:  # all but the first come too late, and mean nothing
            line.say({"type": "websocket.close", "code": 1000, "reason": ""})
            frames = client_frame(BINARY) * 40_000 + frames
        socket.dataReceived(frames + client_frame(0 if opcode == CONTINUATION else BINARY, b"at last"))
        assert len(socket._reader._held) > len(frames) * 9 // 10
        if opcode == CLOSE:
            await client.rest()
            return
        assert await line.heard() == {"type": "websocket.receive", "bytes": b"at last"}
        client.vanish()


async def test_all_long_reads_of_one_turn_share_one_time_so_that_many_who_flood_hold_nobody_up() -> None:
    """P12. Here the time is one step of the parser for all of them, each turn; all that they have said arrives."""
    flooders, count = 10, 3000
    async with served(QUIET) as server:
        server.factory.websockets.read_budget.time_s = 0.0
        clients = [await server.connect() for _ in range(flooders)]
        for client, _ in clients:
            client.send(client_frame(BINARY, b"x") * count)
        heard, most = 0, 0
        async with asyncio.timeout(60):
            while heard < flooders * count:
                await asyncio.sleep(0)
                before, heard = heard, sum(line.unread.qsize() for _, line in clients)
                most = max(most, heard - before)
        assert most < 1000  # some steps of 1024 bytes: what the first to ask in a turn may parse, and ends of reads
        for client, _ in clients:
            client.vanish()


async def test_the_window_holds_also_where_a_long_read_is_cut() -> None:
    """P5. A client that waits for credit does not go on because others have had their turn."""
    async with served(QUIET) as server:
        client, line = await server.connect()
        line.has_credit = False
        line.client.dataReceived(client_frame(BINARY, b"x") * 30_000)
        for _ in range(20):
            await asyncio.sleep(0)
        heard = line.unread.qsize()
        assert 0 < heard < 1000
        line.has_credit = True
        line.client.resume()
        await until(lambda: line.unread.qsize() == 30_000)
        client.vanish()


async def test_what_was_read_before_the_client_vanished_is_delivered_before_the_disconnect() -> None:
    """P1."""
    async with served(QUIET) as server:
        client, line = await server.connect()
        line.has_credit = False
        client.send(client_frame(TEXT, b"x" * 100) * 100 + client_frame(CLOSE, code(1000, "done")))
        await line.heard()
        socket = line.client
        await until(lambda: socket._reader._held, "some of it is held")
        socket._stream.abort()
        assert await line.left() == (1000, "done")
        assert line.unread.qsize() == 99


async def test_credit_comes_back_when_bytes_have_left_and_not_before() -> None:
    """P5. A client that does not read holds the application's `send()` and nothing else."""
    async with served(QUIET) as server:
        client, line = await server.connect()
        client.stop_reading()
        start = line.delivered_bytes
        size, sent = 65_536, 0
        socket = line.client
        while not socket.writing_paused:
            line.say({"type": "websocket.send", "bytes": bytes(size)})
            sent += size + 64
            await asyncio.sleep(0)
        line.say({"type": "websocket.send", "bytes": bytes(size)})
        sent += size + 64
        assert line.delivered_bytes - start < sent
        client.read_on()
        await line.credit(start + sent)
        assert line.delivered_bytes - start == sent


async def test_a_client_that_does_not_read_what_groups_send_is_closed_as_slow() -> None:
    """P5. Third parties are outside of credit, so their queue has a bound: then 1013, counted, and cut off."""
    async with served(replace(IMPATIENT, ws_push_bytes_max=2**20)) as server:
        client, line = await server.connect()
        client.stop_reading()
        pushed = PushedMessage({"type": "websocket.send", "bytes": bytes(60_000)})
        written = 0
        async with asyncio.timeout(10):
            while not line.gone.done():
                line.client.push(pushed)
                written += 60_000
                await asyncio.sleep(0)
        assert await line.left() == (1013, "slow")
        assert written > 2**20
        assert server.context.counters["closed.slow"] == 1
        await until(lambda: server.context.under_way == 0, "it is cut off")


@pytest.mark.parametrize(("count", "size"), [(30, 100_000), (3_000, 1_000)])
async def test_a_burst_to_a_group_is_no_slowness(count: int, size: int) -> None:
    """P5. Three megabytes in one turn of the loop, before any client could read: who reads gets all of it."""
    async with served(QUIET) as server:
        client, line = await server.connect()
        pushed = PushedMessage({"type": "websocket.send", "bytes": bytes(size)})
        for _ in range(count):
            line.client.push(pushed)
        for _ in range(count):
            assert len((await client.frame())[1]) == size
        assert not line.gone.done()
        client.vanish()


async def test_a_client_that_does_not_catch_up_with_a_burst_in_time_is_closed(caplog: pytest.LogCaptureFixture) -> None:
    """P5. With its name and the bytes in one line, however many there are."""
    async with served(replace(IMPATIENT, ws_push_timeout_s=0.1)) as server:
        clients, lines = [], []
        for _ in range(3):
            client, line = await server.connect()
            client.stop_reading()
            clients.append(client)
            lines.append(line)
            for _ in range(8):
                line.client.push(PushedMessage({"type": "websocket.send", "bytes": bytes(1_000_000)}))
            assert not line.gone.done(), "it has had no time"
        for line in lines:
            assert await line.left() == (1013, "slow")
        assert server.context.counters["closed.slow"] == 3
        told = [record.getMessage() for record in caplog.records if "does not take" in record.getMessage()]
        assert len(told) == 1 and lines[0].channel in told[0] and re.search(r"\b\d{7} bytes", told[0])
        await until(lambda: server.context.under_way == 0, "they are cut off")
        assert not len(server.context.slow)


async def test_what_an_application_sends_by_itself_is_not_counted_as_what_groups_send() -> None:
    """P5. Its long message is under way when a small one of a group comes: that is bounded by credit, and no slowness."""
    async with served(replace(IMPATIENT, ws_push_bytes_max=2**20, ws_push_timeout_s=0.05)) as server:
        client, line = await server.connect()
        client.stop_reading()
        part = {"type": "websocket.send", "bytes": bytes(65_536), "more_body": True}
        line.say(*(128 * [part]), {**part, "more_body": False})
        for _ in range(10):
            line.client.push(PushedMessage({"type": "websocket.send", "text": "small"}))
        assert line.client._stream.get_write_buffer_size() > 2 * 2**20
        await ticks(server, 8)  # one each 0.02 s
        assert not line.gone.done()
        client.vanish()


async def test_empty_messages_of_third_parties_do_not_pile_up_behind_an_unfinished_one() -> None:
    """P5. What waits for the end of a message that the application does not end has a bound, whatever is in it."""
    async with served(replace(IMPATIENT, ws_push_bytes_max=2**20)) as server:
        client, line = await server.connect()
        line.say({"type": "websocket.send", "text": "to be continued", "more_body": True})
        for _ in range(2**20 // 64 + 1):
            assert not line.gone.done()
            line.client.push(PushedMessage({"type": "websocket.send", "text": ""}))
        assert await line.left() == (1013, "slow")
        client.vanish()


async def test_a_client_that_takes_nothing_at_all_is_closed() -> None:
    """P5."""
    async with served(InterfaceSettings(access_log=False, write_timeout_s=0.1, ws_close_timeout_s=0.05)) as server:
        client, line = await server.connect()
        client.stop_reading()
        async with asyncio.timeout(10):
            while not line.gone.done():
                if line.delivered_bytes < 2**30 and not line.client.writing_paused:
                    line.say({"type": "websocket.send", "bytes": bytes(65_536)})
                await asyncio.sleep(0)
        assert await line.left() == (1013, "slow")
        assert server.context.counters["closed.stalled"] == 1
        await until(lambda: server.context.under_way == 0, "it is cut off")


async def test_an_idle_socket_borrows_no_parser() -> None:
    """A hundred thousand idle sockets share a handful of parsers."""
    async with served(QUIET) as server:
        client, line = await server.connect()
        socket = line.client
        client.send(client_frame(TEXT, b"a", fin=False))
        await until(lambda: socket._reader._parser is not None, "inside of a message")
        client.send(client_frame(CONTINUATION, b"b"))
        await line.heard()
        assert socket._reader._parser is None


async def test_an_ending_after_the_client_left_is_silent() -> None:
    async with served(QUIET) as server:
        client, line = await server.connect()
        client.send(client_frame(CLOSE, code(1000)))
        await line.left()
        line.client.end(EndReason.FINISHED)
        line.client.deliver([{"type": "websocket.send", "text": "late"}], 68)
        line.client.resume()
        assert await client.frame() == (0x88, code(1000))
        assert await client.rest() == b""


async def test_a_client_that_hangs_up_while_nobody_reads_it_does_not_stay_for_ever() -> None:
    """P5. Its end waits behind bytes that the application never asks for; the kernel knows of it."""
    async with served(InterfaceSettings(access_log=False, ws_ping_interval_s=0.05)) as server:
        client, line = await server.connect()
        line.has_credit = False
        client.send(client_frame(TEXT, b"the last that fits"))
        await line.heard()
        client.writer.close()
        assert await line.left() == (1006, "")
        await until(lambda: server.context.under_way == 0, "the socket is forgotten")


async def test_a_client_that_hangs_up_unread_while_no_worker_has_it_is_noticed_at_the_next_tick() -> None:
    """P3. Nothing may be started for it: it does not wait for a ping that is due some day, or never."""
    async with served(InterfaceSettings(access_log=False, ws_ping_interval_s=0)) as server:
        client, line = await server.connect()
        slow, slow_line = await server.connect()
        line.has_credit = line.owned = slow_line.has_credit = False
        for each, its_line in ((client, line), (slow, slow_line)):
            each.send(client_frame(TEXT, b"the last that fits"))
            await its_line.heard()
            each.writer.close()
        assert await line.left() == (1006, "")
        await until(lambda: server.context.under_way == 1, "the socket is forgotten")
        await ticks(server, 5)
        assert not slow_line.gone.done(), "whose worker is slow may still hear what it said"
        slow_line.has_credit = True
        slow_line.client.resume()
        assert await slow_line.left() == (1006, "")


async def test_a_client_that_hangs_up_before_it_is_accepted_is_noticed_however_much_it_has_said() -> None:
    """P3, P5. Above a bound what comes too early is not read; its end is seen all the same."""
    async with served(QUIET) as server:
        client, line = await server.connect(accept=False)
        line.owned = False
        client.send(client_frame(BINARY, bytes(80_000)))
        await until(lambda: line.client._reader.paused, "it is not read any more")
        client.vanish()
        assert await line.left() == (1006, "")


async def test_a_slow_reader_gets_all_that_was_sent_before_the_close() -> None:
    """P1. The time to answer a close does not run out for who is still reading what came before it."""
    async with served(IMPATIENT) as server:
        client, line = await server.connect()
        client.stop_reading()
        count, socket = 0, line.client
        while not socket.writing_paused:
            line.say({"type": "websocket.send", "bytes": bytes(65_536)})
            count += 1
            await asyncio.sleep(0)
        line.say({"type": "websocket.close", "code": 1000, "reason": ""})
        await ticks(server, 10)
        client.read_on()
        for _ in range(count):
            assert len((await client.frame())[1]) == 65_536
        assert await client.frame() == (0x88, code(1000))
