"""P9, P12: Redis behind TLS and passwords, which is how others give it out."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.parse import quote

import pytest
from websockets.sync.client import connect as connect_socket

import channel_layer
from channel_layer.errors import LayerUnavailable
from channel_layer.redis.address import RedisAddress
from channel_layer.redis.connection import connect
from tests.promises.asking import flows_again
from tests.promises.conftest import PROJECT, Traces
from tests.promises.fleet import towpath
from tests.support.guarded_redis import PASSWORD, SENTINEL_PASSWORD, Guard, needs_redis
from tests.support.redis_sentinels import RedisSentinels
from tests.support.serving import Server, processes_of, towpath_serve

pytestmark = needs_redis
SECRETS = [each for word in (PASSWORD, SENTINEL_PASSWORD) for each in (word, quote(word, safe=""))]


@pytest.fixture(scope="module")
def guard(tmp_path_factory: pytest.TempPathFactory) -> Guard:
    return Guard(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def sentinels(guard: Guard) -> Iterator[RedisSentinels]:
    sentinels = RedisSentinels(guard=guard)
    try:
        yield sentinels.start()
    finally:
        sentinels.remove()


def test_a_fleet_follows_a_fail_over_behind_tls_and_passwords(
    sentinels: RedisSentinels, traces: Traces, tmp_path: Path
) -> None:
    """P9. `serve`, the workers' leases and `status` all find the next primary; nobody reads a password in the log or in `ps`."""
    variables = {**traces.env, "TOWPATH_REDIS": sentinels.url}
    with towpath_serve("witness", run_dir=tmp_path, app_dir=PROJECT, env=variables) as server:
        flows_again(server)
        before = sentinels.primary_port
        sentinels.fail_over()
        sentinels.wait_for_promotion(before)
        flows_again(server)
        status = towpath(server, "status")
        assert status.returncode == 0 and "worker" in status.stdout
        assert towpath(server, "reload").returncode == 0
        flows_again(server)
        assert "Redis is at" in said_by(server) and "towpath" in said_by(server)
        with sentinels.primary.client() as redis:
            assert [entry["object"] for entry in redis.acl_log()] == []
        for secret in SECRETS:
            assert secret not in said_by(server) + status.stdout + status.stderr


def test_a_deployment_needs_no_right_but_those_that_are_documented(
    sentinels: RedisSentinels, guard: Guard, tmp_path: Path
) -> None:
    """P10, P12. `rediss://` with a certificate of the client's own: sockets, groups, a reload and `status`, and Redis refuses nothing."""
    url = f"rediss://{guard.user}127.0.0.1:{sentinels.primary_port}/3?{guard.parameters}"
    with sentinels.primary.client() as redis:
        redis.execute_command("ACL", "LOG", "RESET")
        with towpath_serve("rooms", run_dir=tmp_path, app_dir=PROJECT, env={"TOWPATH_REDIS": url}) as server:
            for _ in range(2):
                with (
                    connect_socket(f"{server.websocket_url}/a") as one,
                    connect_socket(f"{server.websocket_url}/b") as other,
                ):
                    assert one.recv(timeout=20) == other.recv(timeout=20) == '{"joined": true}'
                    one.send("to all")
                    assert one.recv(timeout=20) == other.recv(timeout=20) == "to all"
                assert towpath(server, "reload").returncode == 0
            assert towpath(server, "status").returncode == 0
            asyncio.run(use_layers(url))
        assert [entry["object"] for entry in redis.acl_log()] == []
    assert "refuse" not in server.log and "NOPERM" not in server.log


async def use_layers(url: str) -> None:
    """What processes of other servers do, with an event loop and without one."""
    layer, blocking, note = await channel_layer.connect(url), channel_layer.connect_blocking(url), {"type": "note"}
    own = await layer.new_channel()
    await layer.group_add("members", own)
    await layer.group_add("members", "notes")
    await asyncio.to_thread(blocking.group_add, "members", "notes")
    for send in (layer.send, partial(asyncio.to_thread, blocking.send)):
        for channel in ("work", own):
            await send(channel, note)
            assert await layer.receive(channel) == note
    await asyncio.to_thread(blocking.send, "work", note)
    assert await asyncio.to_thread(blocking.receive, "work") == note
    await layer.group_send("members", note)
    await asyncio.to_thread(blocking.group_send, "members", note)
    assert await layer.receive(own) == await layer.receive(own) == note
    assert await layer.receive("notes") == await layer.receive("notes") == note
    await layer.statistics("work")
    await layer.group_discard("members", own)
    await layer.group_discard("members", "notes")
    await asyncio.to_thread(blocking.group_discard, "members", "notes")
    await layer.close()
    await asyncio.to_thread(blocking.close)


def said_by(server: Server) -> str:
    """Its log, and the command lines of all its processes."""
    lines = [Path(f"/proc/{pid}/cmdline").read_bytes().decode() for pid in processes_of(server.process.pid)]
    return "\n".join([server.log, *lines])


async def test_certificates_are_looked_at_unless_the_url_says_otherwise(
    sentinels: RedisSentinels, guard: Guard
) -> None:
    """P12. An authority that nobody knows is refused in one sentence, and so is a name that is not in the certificate."""
    ours = f"ssl_certfile={guard.certificate}&ssl_keyfile={guard.key}"
    port = sentinels.primary_port

    def at(host: str, parameters: str) -> RedisAddress:
        return RedisAddress.parse(f"rediss://{guard.user}{host}:{port}/3?{parameters}")

    trusted = f"{ours}&ssl_ca_certs={guard.authority}"
    for address in (
        at("127.0.0.1", trusted),
        at("127.0.0.1", f"{ours}&ssl_cert_reqs=none"),
        at("127.1", f"{trusted}&ssl_check_hostname=false"),
    ):
        (await connect(address)).close()
    for address, why in (
        (at("127.0.0.1", ours), "self-signed certificate in certificate chain"),
        (at("127.1", trusted), "certificate is not valid for"),
        (at("127.0.0.1", f"ssl_ca_certs={guard.authority}"), "lost"),
        (at("127.0.0.1", f"{ours}&ssl_ca_certs=/nowhere"), "No such file"),
    ):
        with pytest.raises(LayerUnavailable, match=why):
            await connect(address)


def test_certificates_that_were_renewed_are_read_again(tmp_path: Path) -> None:
    """P9. Whoever renews them restarts nobody; as long as they are the same, they are read once."""
    written = Guard(tmp_path)
    tls = RedisAddress.parse(f"rediss://host?{written.parameters}").tls
    assert tls is not None
    first = tls.context()
    assert tls.context() is first
    Guard(tmp_path)
    assert tls.context() is not first
