"""A deployment with encryption keys: what stands in Redis, and what becomes of processes and entries with other keys."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections import Counter

import pytest

from channel_layer.encryption.encryption import Encryption
from channel_layer.encryption.keyring import Keyring
from channel_layer.errors import EncryptionMismatch
from channel_layer.protocol import packets
from channel_layer.protocol.codec import batch_head, join_batch, pack
from channel_layer.protocol.events import Event
from channel_layer.protocol.keys import HTTP_CHANNEL, Keys
from channel_layer.settings import RedisSettings
from tests.support.both_dispatchers import RecordedHost, adopted, interface, knock, respond, scope_of, worker
from tests.support.facts import until
from tests.support.redis_server import RedisServer
from towpath.overview.findings import findings
from towpath.overview.report import as_json, as_table
from towpath.status.lease_reader import LeaseReader
from towpath.status.redis_status import RedisStatus
from worker.connections.dispatcher import Dispatcher
from worker.settings import WorkerSettings

ONE = "one: K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72"
TWO = "two: 9f86d081884c7d659a2feaa0c55ad0159"
STRANGER = "worker.00000000ffff"


@pytest.fixture
def encrypted(redis_settings: RedisSettings) -> RedisSettings:
    """The shared server, with a key."""
    return dataclasses.replace(redis_settings, encryption_keys=(ONE,))


class Monitor:
    """All commands that a server executes, as MONITOR shows them: bytes that are no text are escaped."""

    def __init__(self, server: RedisServer) -> None:
        self.lines: list[str] = []
        self._client = server.client()
        self._monitor = self._client.monitor()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def _read(self) -> None:
        with self._monitor as monitor:
            self._started.set()
            for command in monitor.listen():
                self.lines.append(command["command"])
                if "the monitor may stop" in command["command"]:
                    return

    def __enter__(self) -> Monitor:
        self._thread.start()
        assert self._started.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.echo("the monitor may stop")
        self._thread.join(20)
        assert not self._thread.is_alive()
        self._client.close()

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


SECRETS = (
    "secret-path",
    "secret-header",
    "secret-body",
    "secret-answer",
    "secret-push",
    "secret-message",
    "secret-state",
    "secret-job",
    "secret:app",
)


@pytest.mark.parametrize("keys", [(), (ONE,)], ids=["plain", "encrypted"])
async def test_nothing_that_is_secret_crosses_redis(own_redis: RedisServer, keys: tuple[str, ...]) -> None:
    """Headers, bodies, messages of a client, of groups and to reply channels, and what leases tell. Without keys all of it shows."""
    settings = RedisSettings(url=own_redis.url, encryption_keys=keys, app="secret:app")

    def play(instance) -> None:
        if instance.kind == "http":
            instance.send({"type": "http.response.start", "status": 200, "headers": [[b"x", b"secret-answer"]]})
            instance.send({"type": "http.response.body", "body": b"secret-answer", "more_body": False})
            instance.downstream.complete()
        else:
            instance.send({"type": "websocket.accept", "headers": [], "subprotocol": None})

    host = RecordedHost(play=play)
    with Monitor(own_redis) as monitor:
        async with interface(settings) as server, worker(settings, host) as owner:
            head = {"raw_path": b"/secret-path", "headers": [[b"x", b"secret-header"]]}
            http = knock(server, method="POST", body=b"secret-body", differs=head)
            await until(lambda: http.body == b"secret-answer", "answered")
            assert host.instances[0].body == b"secret-body"
            assert [b"x", b"secret-header"] in [list(field) for field in host.instances[0].scope["headers"]]
            client = knock(server, "websocket", differs=head)
            await until(lambda: client.events, "accepted")
            message = {"type": "websocket.receive", "text": "secret-message"}
            client.upstream.forward(message, 64 + len("secret-message"))
            await until(
                lambda: [event.get("text") for event in host.instances[1].fed] == ["secret-message"], "received"
            )
            layer, channel = owner.layer, client.upstream.channel
            await layer.send("jobs", {"type": "job", "text": "secret-job"})
            assert (await layer.receive("jobs"))["text"] == "secret-job"
            await layer.group_add("room", channel)
            await layer.group_send("room", text("secret-push"))
            await layer.send(channel, text("secret-state"))
            await until(lambda: len(client.pushed) == 2, "pushed")
            await server.node.check_peers()
        assert server.node.counters["packets.undecryptable"] == owner.node.counters["packets.undecryptable"] == 0
    shown = [secret for secret in SECRETS if secret in monitor.text]
    assert shown == ([] if keys else list(SECRETS))
    assert "towpath:channel:http.request" in monitor.text, "names stay readable"


def text(content: str) -> Event:
    return {"type": "websocket.send", "text": content}


@pytest.mark.parametrize("foreign", [(), (TWO,)], ids=["plain", "another key"])
async def test_what_others_write_harms_nothing(
    encrypted: RedisSettings, redis_server: RedisServer, caplog: pytest.LogCaptureFixture, foreign: tuple[str, ...]
) -> None:
    """Entries, messages to groups, news and leases in plain text or with another key: dropped, counted, and logged once by a process."""
    keys, host = Keys(encrypted.prefix), RecordedHost()
    encryption = Encryption(Keyring(foreign) if foreign else None)

    def entry(key: str, packet: packets.Packet) -> bytes:
        plain = join_batch(batch_head(STRANGER), [pack(packet)])
        return encryption.entry(key, plain) if foreign else plain

    stream = keys.channel(HTTP_CHANNEL)
    async with interface(encrypted) as server, worker(encrypted, host) as owner:
        client = knock(server, "websocket")
        instance = await adopted(host)
        instance.send({"type": "websocket.accept", "headers": [], "subprotocol": None})
        await until(lambda: client.events)
        await owner.layer.group_add("room", client.upstream.channel)
        with redis_server.client() as redis:
            opening = packets.open_(7, 1, [pack(scope_of())], b"", False, 1 << 18, 30_000, False, "")
            redis.xadd(stream, {"b": entry(stream, opening)})
            inbox = keys.inbox(server.node.name)
            for packet in (packets.send(1, text("forged")), packets.close(1, 1, packets.Close.FAILED)):
                redis.xadd(inbox, {"b": entry(inbox, packet)})
            redis.publish(keys.group("room"), encryption.published(keys.group("room"), pack(text("forged"))))
            for node in (server.node.name, owner.node.name):
                redis.publish(keys.news, encryption.published(keys.news, pack(["dead", node])))
            await until(lambda: server.node.counters["packets.undecryptable"] == 5, "the interface server has counted")
            await until(lambda: owner.node.counters["packets.undecryptable"] >= 3, "the worker has counted")
            assert redis.xlen(stream) == 1, "a worker with its key may still come"
            assert server.node.counters["packets.malformed_batch"] == 0
        http = knock(server)
        respond(await adopted(host, 2))
        await until(lambda: http.body == b"hello", "requests are served meanwhile")
        await owner.layer.group_send("room", text("genuine"))
        await until(lambda: client.pushed, "groups work meanwhile")
        assert client.pushed == [text("genuine")] and client.end_reason is None
    lines = [line for line in caplog.messages if line.startswith("dropped ")]
    assert len(lines) == 2, lines
    assert not [line for line in caplog.messages if "died" in line or "declared dead" in line]


@pytest.mark.parametrize(
    ("running", "starting", "why"),
    [
        ((ONE,), (), "encrypts what crosses Redis, and this process has no encryption key"),
        ((), (ONE,), "encrypts nothing, and this process has encryption keys"),
        ((ONE,), (TWO,), "which this process does not have"),
        ((ONE,), (TWO, ONE), "this process encrypts with the key"),
    ],
)
async def test_a_process_with_other_keys_does_not_start_and_leaves_the_others_alone(
    redis_settings: RedisSettings, running: tuple[str, ...], starting: tuple[str, ...], why: str
) -> None:
    """Refused in one sentence that names what to do, as soon as the lease of a dead process would be over."""
    one = dataclasses.replace(redis_settings, encryption_keys=running)
    other = dataclasses.replace(redis_settings, encryption_keys=starting, lease_ttl_s=1.0)
    host = RecordedHost(play=respond)
    async with interface(one) as server, worker(one, host):
        refused = Dispatcher(WorkerSettings(redis=other), RecordedHost(), Counter())
        with pytest.raises(EncryptionMismatch, match=why) as caught:
            await refused.start()
        await refused.close()
        assert "--encryption-key-file" in str(caught.value) and repr(redis_settings.prefix) in str(caught.value)
        http = knock(server)
        await until(lambda: http.body == b"hello", "served by the worker with the key")


async def test_status_shows_with_the_key_what_it_says_to_lack_without(encrypted: RedisSettings) -> None:
    """The queues, names and key ids are there in any case."""
    named = dataclasses.replace(encrypted, app="shop:app")
    async with interface(encrypted), worker(named, RecordedHost()) as owner:
        with_key = RedisStatus(encrypted.url, encrypted.prefix, encrypted)
        without = RedisStatus(encrypted.url, encrypted.prefix)
        status, blind = with_key.read(), without.read()
        with (
            contextlib.closing(LeaseReader(encrypted.url, encrypted.prefix, encrypted)) as with_key_reader,
            contextlib.closing(LeaseReader(encrypted.url, encrypted.prefix)) as reader,
        ):
            assert with_key_reader.ready_pids() and not reader.ready_pids()
        with_key.close()
        without.close()
    table = as_table(status)
    assert "shop:app" in table and owner.node.context.encryption.key_ids[0] in table and not status.unreadable
    table = as_table(blind, findings=findings(blind))
    assert "shop:app" not in table and owner.node.name in table and owner.node.context.encryption.key_ids[0] in table
    assert "encrypts what crosses Redis, and this process has no encryption key" in table
    assert "encrypts what crosses Redis" in as_json(blind) and "unreadable" not in as_json(status)
