"""PROTOCOL.md and its parts say what the code does: their bytes are the code's bytes, and their worker is a worker."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from channel_layer.protocol import packets
from channel_layer.protocol.codec import batch_head, join_batch, pack
from channel_layer.protocol.packets import LENGTH_MIN, AdoptionRefusal, Close, Kind
from channel_layer.settings import RedisSettings
from interface_server.connections.interfaces import EndReason
from interface_server.connections.upstream import END_REASON_OF_CLOSE
from tests.support.both_dispatchers import interface, knock
from tests.support.facts import until

ROOT = Path(__file__).resolve().parent.parent
PARTS = [ROOT / "PROTOCOL.md", *sorted((ROOT / "docs" / "protocol").glob("*.md"))]
TEXT = "\n".join(part.read_text("utf-8") for part in PARTS)
STOPS_WITHIN_S = 10.0

INTERFACE, WORKER = "interface.0123456789ab", "worker.ba9876543210"
SCOPE = {
    "type": "http",
    "http_version": "1.1",
    "method": "GET",
    "scheme": "http",
    "path": "/hi",
    "raw_path": b"/hi",
    "query_string": b"",
    "root_path": "",
    "headers": [(b"host", b"a.example")],
    "client": ("192.0.2.7", 40000),
    "server": ("192.0.2.1", 8000),
}
PIECES = [
    pack({key: SCOPE[key] for key in keys})
    for keys in (
        ("type", "http_version", "method", "path", "raw_path", "query_string", "root_path"),
        ("headers",),
        ("scheme", "client", "server"),
    )
]
RESPONSE = [
    {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]},
    {"type": "http.response.body", "body": b"hello", "more_body": False},
]


def example(name: str) -> bytes:
    """The bytes that the document shows under this name."""
    found = re.search(rf"<!-- example: {name} -->\n```\n([0-9a-f \n]+)\n```", TEXT)
    assert found is not None, f"PROTOCOL.md has no example {name}"
    return bytes.fromhex(found[1])


def batch(node: str, packet: packets.Packet) -> bytes:
    return join_batch(batch_head(node), [pack(packet)])


@pytest.mark.parametrize(
    ("name", "made"),
    [
        (
            "open",
            batch(INTERFACE, packets.open_(1, 1, PIECES, b"", False, 262_144, 30_000, False, "f00dcafe", once=False)),
        ),
        ("head", batch_head(WORKER)),
        ("adopted", pack(packets.adopted(1, 1, 262_144))),
        ("refused", pack(packets.refused(1, 1, AdoptionRefusal.LATE))),
        ("adoption", batch(WORKER, packets.adopted(1, 1, 262_144))),
        ("data", batch(WORKER, packets.data(1, 1, 1, RESPONSE))),
    ],
)
def test_the_bytes_in_the_document_are_those_of_the_code(name: str, made: bytes) -> None:
    """A stranger compares with these first."""
    assert example(name).hex(" ") == made.hex(" ")


def test_the_document_has_a_row_for_each_kind_of_packet_with_as_many_fields_as_are_needed() -> None:
    """The number of fields behind the kind is what a reader insists on, but for those that may be absent."""
    rows = dict(re.findall(r"^\| (\d+) \| (?:[a-z]+|–) \|[^|]*\| ([^|]+) \|$", TEXT, re.MULTILINE))
    assert sorted(map(int, rows)) == sorted(Kind)
    for kind in Kind:
        fields = rows[str(kind.value)]
        if not fields.startswith("reserved"):
            needed = [field for field in re.split(r",(?![^(]*\))", fields) if "may be absent" not in field]
            assert len(needed) + 1 == LENGTH_MIN[kind], kind.name


def test_the_document_has_a_row_for_each_reason_to_close() -> None:
    """Numbers, statuses and close codes are those of both packages."""
    table = TEXT[TEXT.index("**close** (6)") : TEXT.index("Any other number is treated as 4")]
    rows = {int(row[1]): row[2] for row in re.finditer(r"^\| (\d) \| (.*) \|$", table, re.MULTILINE)}
    assert sorted(rows) == sorted(Close)
    for why, ending in END_REASON_OF_CLOSE.items():
        cells = [cell.strip() for cell in rows[why].split("|")]
        assert cells[1:] == [str(ending.status), "abort", str(ending.status), f"close {ending.close_code}"]
    assert END_REASON_OF_CLOSE[Close.UNKNOWN] is EndReason.UNKNOWN


async def test_the_worker_in_the_document_serves_requests_and_leaves_nothing_behind(
    redis_settings: RedisSettings, tmp_path: Path
) -> None:
    """P1, P11. It knows the document, the scripts, msgpack and redis-py, and none of our modules."""
    blocks = re.findall(r"```python\n(.+?)```", TEXT, re.DOTALL)
    assert len(blocks) == 1
    program = tmp_path / "stranger.py"
    program.write_text(blocks[0], "utf-8")
    scripts = str(ROOT / "channel_layer" / "scripts")
    command = [sys.executable, "-P", str(program), redis_settings.url, redis_settings.prefix, scripts]
    async with interface(redis_settings) as server:
        clients = [knock(server) for _ in range(20)]
        with subprocess.Popen(command, cwd=tmp_path) as process:
            try:
                await until(lambda: all(b"hello from worker." in client.body for client in clients))
                assert process.poll() is None
            finally:
                process.send_signal(signal.SIGTERM)
                assert process.wait(STOPS_WITHIN_S) == 0
        for client in clients:
            client.upstream.complete()
        connection = server.node._commands.connection
        assert connection is not None
        assert await connection.execute("ZRANGE", server.node.context.keys.nodes, 0, -1) == [server.node.name.encode()]
