"""`towpath worker APP --channel NAME`: application instances that receive messages of shared channels, and have no client."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from redis import Redis

import channel_layer
from channel_layer.layer import ChannelLayer
from channel_layer.protocol.keys import GROUP, Keys
from tests.applications.served import PROJECTS
from tests.support.facts import until
from tests.support.redis_server import RedisServer
from tests.support.serving import BIN, Server, ServerFailed, running, towpath_worker
from towpath.status.redis_status import RedisStatus

DEADLINE_S = 30.0
KEY, SECRET = "a-key-of-more-than-32-characters-0123456789", b"nobody else reads this"
Start = Callable[..., AbstractContextManager[Server]]


@pytest.fixture
def prefix() -> str:
    return "background:"


@pytest.fixture
def start(redis_server: RedisServer, prefix: str, tmp_path: Path) -> Iterator[Start]:
    """Starts a worker with these channels and options."""

    def started(*options: str, app: str = "background:application") -> AbstractContextManager[Server]:
        command = [BIN / "towpath", "worker", app, "--redis", redis_server.url, "--prefix", prefix, *options]
        return running(
            "worker", command, run_dir=tmp_path, cwd=PROJECTS, ready=lambda server: "are received" in server.log
        )

    yield started
    redis_server.client().flushall()


@pytest.fixture
async def layer(redis_server: RedisServer, prefix: str) -> AsyncIterator[ChannelLayer]:
    layer = await channel_layer.connect(redis_server.url, prefix=prefix)
    yield layer
    await layer.close()


async def answer(layer: ChannelLayer, mine: str) -> dict[str, object]:
    async with asyncio.timeout(DEADLINE_S):
        return await layer.receive(mine)


async def test_messages_of_each_channel_are_processed_in_order(start: Start, layer: ChannelLayer) -> None:
    """P1. Also those that were sent before the worker had started."""
    mine = await layer.new_channel()
    for number in range(10):
        for channel in ("thumbnails", "email.send"):
            await layer.send(channel, {"type": "sync", "reply": mine, "number": number})
    with start("--channel", "thumbnails", "--channel", "email.send"):
        answers = [await answer(layer, mine) for _ in range(20)]
    for channel in ("thumbnails", "email.send"):
        assert [each["number"] for each in answers if each["channel"] == channel] == list(range(10))


async def test_an_instance_that_fails_costs_its_message_and_no_other(start: Start, layer: ChannelLayer) -> None:
    """P12. The next instance goes on at once."""
    mine = await layer.new_channel()
    with start("--channel", "work") as server:
        await layer.send("work", {"type": "fail"})
        await layer.send("work", {"type": "sync", "reply": mine, "number": 1})
        assert (await answer(layer, mine))["number"] == 1
        assert (
            "ZeroDivisionError: as asked" in server.log and "the application failed at a message of work" in server.log
        )


async def test_a_message_that_fails_is_received_again_and_then_goes_to_the_dead_letter_channel(
    start: Start, layer: ChannelLayer, redis_server: RedisServer, prefix: str
) -> None:
    """P12. As often as the operator says, behind what waits already; it carries how often, and in the end why."""
    with start("--channel", "work", "--channel-retries", "2", "--channel-dead-letter", "work.dead") as server:
        await layer.send("work", {"type": "fail", "job": 41})
        dead = await answer(layer, "work.dead")
        assert dead == {
            "type": "fail", "job": 41,
            "towpath.channel": "work", "towpath.error": "ZeroDivisionError: as asked",
        }  # fmt: skip
        assert server.log.count("the application failed at a message of work") == 3
        await layer.send("work", {"type": "fail"})
        await until(lambda: ("work.dead", 1, True) in queues(redis_server, prefix), "status shows the dead letter")
        assert ("work", 0, False) in queues(redis_server, prefix)


AT_LEAST_ONCE = ("--channel", "work", "--channel-delivery", "at-least-once")
CUT_OFF = ("--timeout-graceful-shutdown", "0.1")


async def test_what_a_dead_worker_had_not_finished_is_done_by_another(start: Start, layer: ChannelLayer) -> None:
    """P1. At least once, if the operator says so: after the visibility timeout, and with a word about it."""
    mine = await layer.new_channel()
    options = (*AT_LEAST_ONCE, "--channel-visibility-timeout", "1")
    with pytest.raises(ServerFailed, match="ended with -9"), start(*options) as first:
        await layer.send("work", {"type": "echo", "reply": mine, "seconds": 60})
        assert (await answer(layer, mine))["attempt"] is None
        first.process.kill()
        first.process.wait()
    with start(*options, *CUT_OFF):
        again = await answer(layer, mine)
        assert (again["type"], again["attempt"]) == ("begun", 2)


async def test_a_message_is_left_to_a_worker_that_works_at_it_for_long(start: Start, layer: ChannelLayer) -> None:
    """P1. For longer than the visibility timeout, beside another worker; then it is removed."""
    mine = await layer.new_channel()
    options = (*AT_LEAST_ONCE, "--channel-visibility-timeout", "1")
    with start(*options), start(*options):
        await layer.send("work", {"type": "slow", "reply": mine, "seconds": 3})
        assert [(await answer(layer, mine))["type"] for _ in range(2)] == ["begun", "done"]
        async with asyncio.timeout(DEADLINE_S):
            while (await layer.statistics("work"))["messages_pending"]:
                await asyncio.sleep(0.05)
    assert (await layer.statistics(mine))["messages_pending"] == 0


async def test_what_is_cut_off_goes_to_another_worker_at_once(start: Start, layer: ChannelLayer) -> None:
    """P7. Not after the visibility timeout only. What was read and not begun counts as never read."""
    mine = await layer.new_channel()
    options = (*AT_LEAST_ONCE, "--channel-visibility-timeout", "1000")
    with start(*options, *CUT_OFF) as first:
        await layer.send("work", {"type": "echo", "reply": mine, "seconds": 60})
        assert (await answer(layer, mine))["type"] == "begun"
        first.process.send_signal(signal.SIGTERM)
        await until(lambda: first.process.poll() is not None, "the worker has ended")
    with start(*options, *CUT_OFF):
        assert (await answer(layer, mine))["attempt"] == 2


async def test_an_instance_that_does_not_end_keeps_its_message_from_nobody(start: Start, layer: ChannelLayer) -> None:
    """P7. It ignores its cancellation: another worker gets the message at once all the same."""
    mine = await layer.new_channel()
    options = (*AT_LEAST_ONCE, "--channel-visibility-timeout", "1000")
    begin = start(*options, *CUT_OFF, app="background:stubborn")
    with pytest.raises(ServerFailed, match="ended with 1 after SIGTERM"), begin as first:
        await layer.send("work", {"type": "echo", "reply": mine})
        assert (await answer(layer, mine))["type"] == "begun"
        first.process.send_signal(signal.SIGTERM)
        await until(lambda: first.process.poll() is not None, "the worker has ended")
    with start(*options, *CUT_OFF):
        assert (await answer(layer, mine))["attempt"] == 2


async def test_a_message_under_which_workers_die_is_set_aside(
    start: Start, layer: ChannelLayer, redis_server: RedisServer, prefix: str
) -> None:
    """P12. Five have had it."""
    redis, keys = Redis(unix_socket_path=str(redis_server.socket)), Keys(prefix)
    await layer.send("work", {"type": "echo", "reply": "x", "job": 41})
    stream = keys.channel("work")
    redis.xgroup_create(stream, GROUP, "0")
    ((_, ((entry, _),)),) = redis.xreadgroup(GROUP, "dead", {stream: ">"})  # type: ignore[union-attr,misc]
    redis.xclaim(stream, GROUP, "dead", 0, [entry], idle=60_000, retrycount=5, justid=True)
    with start(*AT_LEAST_ONCE, "--channel-dead-letter", "dead"):
        dead = await answer(layer, "dead")
    assert dead["job"] == 41 and str(dead["towpath.error"]).startswith("WorkerDied: 5 workers have died")
    assert redis.xlen(stream) == 0


async def test_what_fails_is_repeated_and_set_aside_with_that_delivery_too(
    start: Start, layer: ChannelLayer, redis_server: RedisServer, prefix: str
) -> None:
    """P12. Nothing is left in the channel."""
    mine = await layer.new_channel()
    with start(*AT_LEAST_ONCE, "--channel-retries", "1", "--channel-dead-letter", "dead"):
        await layer.send("work", {"type": "fail"})
        await layer.send("work", {"type": "sync", "reply": mine, "number": 1})
        assert (await answer(layer, mine))["number"] == 1
        assert (await answer(layer, "dead"))["type"] == "fail"
        await until(lambda: redis_server.client().xlen(Keys(prefix).channel("work")) == 0, "nothing is left")


async def test_a_pattern_stands_for_all_channels_that_match(start: Start, layer: ChannelLayer) -> None:
    """P12. Those that are there at the start, and later ones; each with its name. Never the dead-letter channel."""
    mine = await layer.new_channel()
    await layer.send("email.first", {"type": "sync", "reply": mine, "number": 1})
    await layer.send("emails", {"type": "sync", "reply": mine, "number": 0})
    with start("--channel", "email.*", "--channel", "other", "--channel-dead-letter", "email.dead"):
        assert (await answer(layer, mine))["channel"] == "email.first"
        await layer.send("email.bad", {"type": "fail"})
        await layer.send("email.second", {"type": "sync", "reply": mine, "number": 2})
        assert (await answer(layer, mine))["channel"] == "email.second"
        assert (await answer(layer, "email.dead"))["towpath.channel"] == "email.bad"
    assert (await layer.statistics("emails"))["messages_pending"] == 1


async def test_more_channels_match_than_one_worker_receives_from(start: Start, layer: ChannelLayer) -> None:
    """P11. The others wait until one has been idle for a while, and that is said."""
    mine = await layer.new_channel()
    for number in range(120):
        await layer.send(f"many.{number}", {"type": "sync", "reply": mine, "number": number})
    with start("--channel", "many.*", "--channel", "other") as server:
        answers = [await answer(layer, mine) for _ in range(120)]
        assert "20 more channels match than the 100 that one worker receives from" in server.log
    assert {each["channel"] for each in answers} == {f"many.{number}" for number in range(120)}


def queues(redis_server: RedisServer, prefix: str) -> list[tuple[str, int, bool]]:
    """What `towpath status` shows of channels: name, depth, whether it is for dead letters."""
    status = RedisStatus(redis_server.url, prefix)
    try:
        return [(queue.channel, queue.depth, queue.dead_letter) for queue in status.read().queues]
    finally:
        status.close()


async def test_no_message_of_a_stranger_stops_a_channel(start: Start, layer: ChannelLayer) -> None:
    """P12. A number of attempts that is none; a cancellation that the application lets escape."""
    mine = await layer.new_channel()
    with start("--channel", "work", "--channel-retries", "1", "--channel-dead-letter", "dead"):
        for message in (
            {"type": "fail", "towpath.attempt": "zzz"},
            {"type": "fail", "towpath.attempt": -5},
            {"type": "cancel"},
        ):
            await layer.send("work", message)
        await layer.send("work", {"type": "sync", "reply": mine, "number": 1})
        assert (await answer(layer, mine))["number"] == 1
        assert [(await answer(layer, "dead"))["type"] for _ in range(3)] == ["fail", "fail", "cancel"]


async def test_a_message_that_failed_is_repeated_though_its_channel_is_full(start: Start, layer: ChannelLayer) -> None:
    """P4. It was in the channel before; and a dead letter is no message as others."""
    for number in range(100):
        await layer.send("work", {"type": "fail", "number": number})
    with start("--channel", "work", "--channel-retries", "1", "--channel-dead-letter", "dead"):
        dead = [await answer(layer, "dead") for _ in range(100)]
    assert sorted(int(str(each["number"])) for each in dead) == list(range(100))


async def test_workers_that_stop_under_load_lose_nothing(start: Start, layer: ChannelLayer) -> None:
    """P7. What was taken and not received goes back."""
    mine, sent = await layer.new_channel(), 0
    received: list[object] = []

    async def receive() -> None:
        while True:
            received.append((await layer.receive(mine))["number"])

    receiver = asyncio.ensure_future(receive())
    for _ in range(3):
        with start("--channel", "work", "--channel-concurrency", "20") as server:
            for _ in range(300):
                while True:
                    try:
                        await layer.send("work", {"type": "sync", "reply": mine, "number": sent})
                        break
                    except channel_layer.ChannelFull:
                        await asyncio.sleep(0.01)
                sent += 1
            server.process.send_signal(signal.SIGTERM)
            await until(lambda: server.process.poll() == 0, "the worker has ended")
    with start("--channel", "work"):
        await until(lambda: len(received) >= sent, "all are received", DEADLINE_S)
    receiver.cancel()
    assert sorted(received) == list(range(sent))  # type: ignore[type-var]


async def test_another_application_may_do_the_background_work(
    start: Start, layer: ChannelLayer, prefix: str, redis_server: RedisServer, tmp_path: Path
) -> None:
    """One prefix, one application, holds for those that take connections."""
    (tmp_path / "other").mkdir()
    (tmp_path / "other_app.py").write_text("async def application(scope, receive, send): ...\n")
    mine = await layer.new_channel()
    options = ["--prefix", prefix, "--lifespan", "off"]
    takes = {"cwd": tmp_path, "ready": lambda server: "takes connections" in server.log}
    other = towpath_worker("other_app", redis_server.url, run_dir=tmp_path / "other", options=options, **takes)
    with other, start("--channel", "work"):
        await layer.send("work", {"type": "sync", "reply": mine, "number": 1})
        assert (await answer(layer, mine))["number"] == 1


def test_a_dead_letter_channel_that_is_received_itself_is_refused() -> None:
    """P12. It would be an endless loop."""
    command = [
        BIN / "towpath",
        "worker",
        "background:application",
        "--channel",
        "work",
        "--channel-dead-letter",
        "work",
    ]
    done = subprocess.run(command, cwd=PROJECTS, capture_output=True, text=True, timeout=60)
    assert done.returncode == 3 and "is one of the channels" in done.stderr


def test_a_delivery_without_a_channel_is_refused() -> None:
    """P12. The worker would take connections, and the option would be of no use."""
    command = [BIN / "towpath", "worker", "background:application", "--channel-delivery", "at-least-once"]
    done = subprocess.run(command, cwd=PROJECTS, capture_output=True, text=True, timeout=60)
    assert done.returncode == 3 and "is for the messages of --channel" in done.stderr


async def test_several_messages_at_once_if_the_operator_says_so(start: Start, layer: ChannelLayer) -> None:
    """None of them can end before all have begun."""
    mine = await layer.new_channel()
    with start("--channel", "work", "--channel-concurrency", "3"):
        for _ in range(3):
            await layer.send("work", {"type": "slow", "reply": mine, "seconds": 2})
        assert [(await answer(layer, mine))["type"] for _ in range(6)] == ["begun"] * 3 + ["done"] * 3


async def test_a_worker_that_is_asked_to_stop_finishes_its_message_and_takes_no_other(
    start: Start, layer: ChannelLayer
) -> None:
    """P7."""
    mine = await layer.new_channel()
    with start("--channel", "work") as server:
        await layer.send("work", {"type": "slow", "reply": mine, "seconds": 2})
        await layer.send("work", {"type": "sync", "reply": mine, "number": 7})
        assert (await answer(layer, mine))["type"] == "begun"
        server.process.send_signal(signal.SIGTERM)
        assert (await answer(layer, mine))["type"] == "done"
        await until(lambda: server.process.poll() == 0, "the worker has ended")
    assert (await layer.statistics("work"))["messages_pending"] == 1
    with start("--channel", "work"):
        assert (await answer(layer, mine))["number"] == 7


async def test_a_worker_that_is_asked_to_stop_before_its_application_waits_for_messages_ends_at_once(
    redis_server: RedisServer, layer: ChannelLayer, prefix: str, tmp_path: Path
) -> None:
    """P7. A message that waits stays for the next worker."""
    await layer.send("work", {"type": "test"})
    command = [BIN / "towpath", "worker", "background:waits_first", "--redis", redis_server.url, "--prefix", prefix]
    with running(
        "worker",
        [*command, "--channel", "work"],
        run_dir=tmp_path,
        cwd=PROJECTS,
        ready=lambda server: "begun" in server.log,
    ) as server:
        server.process.send_signal(signal.SIGTERM)
        await until(lambda: server.process.poll() == 0, "the worker has ended", 5.0)
        assert "Traceback" not in server.log and "by force" not in server.log
    assert (await layer.statistics("work"))["messages_pending"] == 1
    redis_server.client().flushall()


async def test_background_work_is_encrypted_where_a_deployment_has_keys(
    redis_server: RedisServer, prefix: str, tmp_path: Path
) -> None:
    """A blocking client sends, a worker receives and answers; what waits in Redis meanwhile is no clear text."""
    redis, variables = redis_server.client(), {"TOWPATH_ENCRYPTION_KEYS": KEY}
    with channel_layer.connect_blocking(redis_server.url, prefix=prefix, encryption_keys=[KEY]) as layer:
        mine = layer.new_channel()
        layer.send("work", {"type": "sync", "reply": mine, "number": 7, "note": SECRET.decode()})
        entries = Redis(unix_socket_path=str(redis_server.socket)).xrange(f"{prefix}channel:work")
        assert len(entries) == 1 and SECRET not in repr(entries).encode() and mine not in repr(entries)
        command = [BIN / "towpath", "worker", "background:application", "--redis", redis_server.url, "--prefix", prefix]
        with running(
            "worker", [*command, "--channel", "work"], run_dir=tmp_path, cwd=PROJECTS, env=variables,
            ready=lambda server: "are received" in server.log,
        ):  # fmt: skip
            answer = await asyncio.to_thread(layer.receive, mine, DEADLINE_S)
        assert answer == {"type": "done", "channel": "work", "number": 7}
    redis.flushall()


@pytest.mark.parametrize(
    ("app", "why"),
    [
        ("knows_no_channels", "it raised ValueError"),
        ("passes_over_channels", "it returned without asking for a message"),
    ],
)
async def test_an_application_that_knows_no_channels_is_refused_at_the_start(
    redis_server: RedisServer, prefix: str, app: str, why: str
) -> None:
    """P12. One sentence, and exit code 3."""
    command = [BIN / "towpath", "worker", f"background:{app}", "--redis", redis_server.url]
    done = await asyncio.to_thread(
        subprocess.run, [*command, "--prefix", prefix, "--channel", "work"],
        cwd=PROJECTS, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 3
    assert f'cannot run for a channel: given a scope of type "channel" {why}' in done.stderr


@pytest.mark.parametrize(
    ("name", "why"), [("a b", "channel name"), ("x!y", "shared channel"), ("http.request", "connections")]
)
def test_a_channel_that_is_none_is_refused(name: str, why: str) -> None:
    """P12."""
    command = [BIN / "towpath", "worker", "background:application", "--channel", name]
    done = subprocess.run(command, cwd=PROJECTS, capture_output=True, text=True, timeout=60)
    assert done.returncode == 3 and why in done.stderr
