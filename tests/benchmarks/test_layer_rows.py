"""The rows of the channel layer: that they measure each layer, and that a message which is lost, doubled or another fails them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from redis import Redis

from benchmarks.deploys.fleet import own_redis
from benchmarks.layer import blocking_sends
from benchmarks.layer.group_load import Group, Member
from benchmarks.layer.monitor import Monitor, frequent
from benchmarks.layer.shared_channel import NUMBER, Sender
from benchmarks.turns import Tally
from tests.support.facts import until

ROOT = Path(__file__).parents[2]


def bench(rows: str, servers: str, page: Path) -> str:
    size = ["--rounds", "1", "--seconds", "0.5", "--sockets", "20", "--loudness-max", "inf"]
    command = [
        sys.executable,
        "-m",
        "benchmarks.run",
        "--rows",
        rows,
        "--servers",
        servers,
        *size,
        "--output",
        str(page),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    # Behind that title stands what other runs have written.
    return page.read_text().partition("## Where the time goes")[0]


@pytest.mark.parametrize("server", ["towpath", "towpath-consumer-2", "uvicorn-core", "daphne-pubsub"])
def test_a_group_of_websockets_is_measured(server: str, tmp_path: Path) -> None:
    page = bench("group", server, tmp_path / "page.md")
    line = next(line for line in page.splitlines() if line.startswith(f"| {server} |"))
    assert float(line.split("|")[2].replace(" ", "")) > 0
    assert "client" in line


def test_a_message_to_a_group_is_counted_in_commands(tmp_path: Path) -> None:
    """P11. One command, however many members a process has; channels_redis needs nine, and those of the delivery."""
    page = bench("group-commands", "towpath,uvicorn-core", tmp_path / "page.md")
    lines = [line.split("|") for line in page.splitlines() if line.startswith(("| towpath |", "| uvicorn-core |"))]
    commands = {line[1].strip(): float(line[2]) for line in lines}
    assert commands["towpath"] == 1
    assert commands["uvicorn-core"] > 5


def test_calls_of_threads_and_steady_sends_are_timed(tmp_path: Path) -> None:
    page = bench("group-latency,thread", "towpath,uvicorn-pubsub", tmp_path / "page.md")
    assert (page.count("| towpath |"), page.count("| uvicorn-pubsub |")) == (2, 1)


def test_a_shared_channel_and_blocking_sends_are_measured(tmp_path: Path) -> None:
    page = bench("shared-channel,shared-channel-loop,blocking", "towpath,core", tmp_path / "page.md")
    assert (page.count("| towpath |"), page.count("| core |")) == (3, 3)


def test_a_member_that_misses_a_message_or_has_it_twice_fails_the_run() -> None:
    for arriving in ([1], [0, 0], [0, 1, 2], [0, 0, 1]):
        group = Group(Tally())
        frames = [b"\x81\x40" + group.expect(0, number) for number in range(3)]
        del group.frames[2], group.missing[2]
        Member(group).data_received(b"".join(frames[number] for number in arriving))
        assert group.tally.failure is not None, arriving


def test_a_member_counts_messages_that_come_in_pieces() -> None:
    group = Group(Tally())
    group.members = [None] * 2  # type: ignore[list-item]  # only their number counts
    data = b"".join(b"\x81\x40" + group.expect(0, number) for number in range(3))
    for member in (Member(group), Member(group)):
        for piece in (data[:10], data[10:150], data[150:]):
            member.data_received(piece)
    assert (group.tally.failure, group.tally.answers, group.missing) == (None, 6, [0, 0, 0])


async def test_a_message_that_was_received_twice_fails_the_run() -> None:
    sender = Sender(None)
    sender.under_way[5] = asyncio.get_running_loop().create_future()
    twice = NUMBER.pack(5) * 2
    sender.data_received(twice[:3])
    sender.data_received(twice[3:])
    assert sender.failure == "message 5 was received twice"


async def test_commands_of_scripts_are_counted_apart_and_rare_ones_left_out() -> None:
    with own_redis() as redis, Redis.from_url(redis.url) as client:
        client.ping()
        with Monitor(redis.url.removeprefix("unix://")) as monitor:
            for number in range(3):
                client.set("a", number)
            client.eval("redis.call('INCR', 'a') redis.call('INCR', 'a') redis.call('GET', 'a')", 0)
            await until(lambda: monitor.by_scripts.total() == 3, "all commands")
    assert (frequent(monitor.commands, 1), frequent(monitor.commands, 2)) == (4, 3)
    assert (frequent(monitor.by_scripts, 1), frequent(monitor.by_scripts, 2)) == (3, 2)


def test_messages_of_either_kind_of_key_are_counted() -> None:
    with own_redis() as redis, Redis.from_url(redis.url) as client:
        client.zadd(f"asgi{blocking_sends.CHANNEL}", {"one": 1, "two": 2})
        client.xadd(f"towpath:channel:{blocking_sends.CHANNEL}", {"m": "three"})
        assert blocking_sends.messages_in(client) == 3
