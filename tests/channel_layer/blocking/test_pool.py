"""The connections of a blocking layer, against real servers: shared by threads, replaced when they are lost, never inherited."""

from __future__ import annotations

import os
import random
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from channel_layer.blocking.pool import ConnectionPool
from channel_layer.errors import LayerUnavailable, NothingSent
from channel_layer.redis.address import RedisAddress
from channel_layer.redis.blocking.connection import BlockingConnection
from tests.support.facts import wait_until
from tests.support.redis_server import RedisServer
from tests.support.swallowing_proxy import SwallowingProxy

THREADS = 16


@pytest.fixture
def pool(own_redis: RedisServer) -> Iterator[ConnectionPool]:
    pool = pool_of(own_redis)
    yield pool
    pool.close()


def pool_of(server: RedisServer, connections_max: int = 32, timeout_s: float = 5.0) -> ConnectionPool:
    return ConnectionPool(RedisAddress.parse(server.url), connections_max, timeout_s)


def clients_of(server: RedisServer) -> list[dict[str, Any]]:
    """All connections of the server but the one that asks."""
    with server.client() as redis:
        own = redis.client_id()
        return [client for client in redis.client_list() if int(client["id"]) != own]


def kill_all(server: RedisServer) -> None:
    with server.client() as redis:
        redis.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    wait_until(lambda: not clients_of(server), "all connections are ended")


def test_sixteen_threads_get_their_own_answers(pool: ConnectionPool, own_redis: RedisServer) -> None:
    """Each thread has a connection for itself during a call, and no more of them are made than threads call at once."""

    def echo(number: int) -> bool:
        return all(pool.call("ECHO", f"{number}.{turn}") == f"{number}.{turn}".encode() for turn in range(100))

    with ThreadPoolExecutor(THREADS) as threads:
        assert all(threads.map(echo, range(THREADS)))
    assert 1 <= len(clients_of(own_redis)) == pool.size <= THREADS


def test_one_thread_uses_one_connection(pool: ConnectionPool) -> None:
    """Call after call."""
    for _ in range(10):
        pool.call("PING")
    assert pool.size == 1


def test_a_call_after_a_restart_of_redis_succeeds(pool: ConnectionPool, own_redis: RedisServer) -> None:
    """An idle connection is checked before anything is written on it."""
    assert pool.call("PING") == b"PONG"
    own_redis.stop()
    own_redis.start()
    assert pool.call("PING") == b"PONG"


def test_calls_after_client_kill_succeed(pool: ConnectionPool, own_redis: RedisServer) -> None:
    """An operator, or a timeout of the server, ends idle connections."""
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: pool.call("PING"), range(40)))
    kill_all(own_redis)
    for _ in range(8):
        assert pool.call("PING") == b"PONG"


def test_a_call_whose_idle_connections_are_all_closed_succeeds(pool: ConnectionPool, own_redis: RedisServer) -> None:
    """The first one is tried without a look; the others are looked at before the call is made again."""
    all_at_once(pool, 8)
    kill_all(own_redis)
    assert pool.call("PING") == b"PONG"
    assert pool.size == 1


def test_several_calls_in_a_row_begin_on_a_connection_that_stands(pool: ConnectionPool, own_redis: RedisServer) -> None:
    """They are not made again on another one, so nothing is tried there."""
    all_at_once(pool, 2)
    kill_all(own_redis)
    with pool.connection() as connection:
        assert connection.call("PING") == b"PONG"


def test_by_tcp_an_idle_connection_is_checked_before_each_call(own_redis: RedisServer) -> None:
    """What is written to one that was closed is lost there without an error: the outcome would be unknown."""
    proxy = SwallowingProxy(own_redis.socket).start()
    pool = ConnectionPool(RedisAddress.parse(proxy.url), 32, 5.0)
    try:
        for _ in range(20):
            all_at_once(pool, 2)
            kill_all(own_redis)
            wait_until(lambda: not any(each.usable for each in pool._slots.connections()), "the end has come through")
            assert pool.call("PING") == b"PONG"
    finally:
        pool.close()
        proxy.stop()


def test_an_answer_in_pieces_has_the_time_of_one(own_redis: RedisServer) -> None:
    """A server that says a byte now and then would hold up the call for ever."""
    path = own_redis.folder / "dribbling.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        dribbling = threading.Thread(target=dribble, args=(server,))
        dribbling.start()
        connection = BlockingConnection(str(path), None, 0.3)
        with pytest.raises(LayerUnavailable, match=r"did not answer within 0\.3 s"):
            connection.call("PING")
        dribbling.join(30)
    assert not dribbling.is_alive()


def dribble(server: socket.socket) -> None:
    """An answer without an end, to one client, until that leaves."""
    client, _ = server.accept()
    with client, suppress(OSError):
        client.sendall(b"+")
        while not select.select([client], [], [], 0.05)[0] or client.recv(4096):
            client.sendall(b"x")


def test_a_connection_that_is_lost_during_a_call_leaves_its_outcome_open(
    pool: ConnectionPool, own_redis: RedisServer
) -> None:
    """The command has arrived: it is never sent again, and the error says so."""
    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(pool.call, "BLPOP", "nothing", 0, block_s=60.0)
        wait_until(lambda: [client["cmd"] for client in clients_of(own_redis)] == ["blpop"], "the command has arrived")
        kill_all(own_redis)
        with pytest.raises(LayerUnavailable, match="lost before its answer") as failure:
            call.result(timeout=30)
    assert not failure.value.known and failure.value.retry
    assert pool.call("PING") == b"PONG"


def test_a_server_that_does_not_answer_costs_the_timeout(own_redis: RedisServer) -> None:
    """And not more; the connection is not used again, since the answer may still come."""
    pool = pool_of(own_redis, timeout_s=0.3)
    pool.call("SET", "key", "old")
    own_redis.signal(signal.SIGSTOP)
    with pytest.raises(LayerUnavailable, match="did not answer within") as failure:
        pool.call("GETSET", "key", "new")
    assert not failure.value.known
    own_redis.signal(signal.SIGCONT)
    assert pool.call("ECHO", "mine") == b"mine"


def test_while_redis_is_away_calls_fail_at_once_and_attempts_back_off(
    pool: ConnectionPool, own_redis: RedisServer
) -> None:
    """A site goes on without its notifications, and does not hammer a server that is starting."""
    own_redis.stop()
    errors = []
    for _ in range(200):
        with pytest.raises(NothingSent) as failure:
            pool.call("PING")
        errors.append(str(failure.value))
    failed_fast = [error for error in errors if "the next attempt is in" in error]
    assert 100 < len(failed_fast) < 200
    assert all("unreachable" in error for error in errors)
    own_redis.start()
    wait_until(lambda: answers(pool), "calls succeed again", 10.0)


def answers(pool: ConnectionPool) -> bool:
    try:
        return bool(pool.call("PING") == b"PONG")
    except NothingSent:
        return False


def test_a_server_at_its_limit_of_clients_is_named_as_that(own_redis: RedisServer) -> None:
    """P12. One sentence with the reason of Redis; and when there is space again, all goes on."""
    with own_redis.client() as redis:
        redis.config_set("maxclients", 2)
        with socket.socket(socket.AF_UNIX) as other:
            other.connect(str(own_redis.socket))
            wait_until(lambda: len(redis.client_list()) == 2, "both places are taken")
            pool = pool_of(own_redis)
            with pytest.raises(NothingSent, match="max number of clients"):
                pool.call("PING")
        wait_until(lambda: answers(pool), "there is space again", 10.0)
    pool.close()


def test_a_call_waits_while_all_connections_are_in_use(own_redis: RedisServer) -> None:
    """And is told which limit it was."""
    pool = pool_of(own_redis, connections_max=1, timeout_s=0.2)
    with pool.connection(), pytest.raises(NothingSent, match="all 1 connections were in use"):
        pool.call("PING")
    assert pool.call("PING") == b"PONG"


def test_an_exception_of_a_signal_handler_leaves_no_answer_behind(own_redis: RedisServer) -> None:
    """As the soft time limit of a Celery task: the next call must not get the answer of the one that was broken off."""
    pool = pool_of(own_redis)
    pool.call("PING")

    def raise_it(*_: object) -> None:
        raise TimeoutError("soft limit")

    before = signal.signal(signal.SIGALRM, raise_it)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(TimeoutError, match="soft limit"):
            pool.call("BLPOP", "nothing", 5, block_s=5.0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert pool.call("ECHO", "mine") == b"mine"


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_timeout_that_a_signal_handler_raises_is_not_taken_for_one_of_the_socket(own_redis: RedisServer) -> None:
    """It reaches its caller, and the command is not sent again, as it is after an error of the socket."""
    pool = pool_of(own_redis)
    chance, calls, answered, raised = random.Random(7), 0, 0, 0

    def raise_it(*_: object) -> None:
        raise TimeoutError("soft limit")

    before = signal.signal(signal.SIGALRM, raise_it)
    try:
        while raised < 1_000:
            try:
                signal.setitimer(signal.ITIMER_REAL, chance.uniform(1e-6, 3e-4))
                for _ in range(50):
                    calls += 1
                    pool.call("INCR", "calls")
                    answered += 1
                signal.setitimer(signal.ITIMER_REAL, 0)
            except TimeoutError:
                raised += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert answered <= int(pool.call("INCR", "calls")) - 1 <= calls


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_exceptions_of_signal_handlers_cost_no_place_and_mix_up_no_answers(own_redis: RedisServer) -> None:
    """Two thousand of them, at any moment of a call: at connecting, at borrowing, at packing, at giving back."""
    pool = pool_of(own_redis, connections_max=8, timeout_s=2.0)
    chance, raised = random.Random(11), 0

    def raise_it(*_: object) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGALRM, raise_it)
    try:
        while raised < 2_000:
            try:
                signal.setitimer(signal.ITIMER_REAL, chance.uniform(1e-6, 3e-4))
                for turn in range(raised, raised + 50):
                    assert pool.call("ECHO", turn) == str(turn).encode()
                signal.setitimer(signal.ITIMER_REAL, 0)
            except Interrupted:
                raised += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    all_at_once(pool, 8)


class Interrupted(Exception):
    """As the soft time limit of a Celery task."""


def all_at_once(pool: ConnectionPool, count: int) -> None:
    """Use so many connections at one moment."""
    together = threading.Barrier(count)

    def hold(number: int) -> bool:
        with pool.connection() as connection:
            together.wait(30)
            return bool(connection.call("ECHO", number) == str(number).encode())

    with ThreadPoolExecutor(count) as threads:
        assert all(threads.map(hold, range(count)))
    assert pool.size == count


def test_a_forked_child_makes_its_own_connections(pool: ConnectionPool, own_redis: RedisServer) -> None:
    """It closes what it inherits without a goodbye, and parent and child get their own answers."""
    pool.call("PING")
    parent_ids = {client["id"] for client in clients_of(own_redis)}
    go_on, finish = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        try:
            fine = pool.size == 0 and all(
                pool.call("ECHO", f"child {turn}") == f"child {turn}".encode() for turn in range(200)
            )
            grandchild = os.fork()
            if grandchild == 0:
                os._exit(0 if pool.call("ECHO", "grandchild") == b"grandchild" else 1)
            _, status = os.waitpid(grandchild, 0)
            os.write(go_on[1], b"y" if fine and status == 0 and pool.call("PING") == b"PONG" else b"n")
            os.read(finish[0], 1)
        finally:
            os._exit(0)
    assert all(pool.call("ECHO", f"parent {turn}") == f"parent {turn}".encode() for turn in range(200))
    assert os.read(go_on[0], 1) == b"y"
    ids = {client["id"] for client in clients_of(own_redis)}
    assert len(ids) == 2 and parent_ids < ids
    os.write(finish[1], b"x")
    os.waitpid(child, 0)
    assert pool.call("PING") == b"PONG"
    for descriptor in (*go_on, *finish):
        os.close(descriptor)


def test_a_child_that_is_forked_during_calls_of_other_threads_is_not_blocked(own_redis: RedisServer) -> None:
    """Their locks are held for ever in the child, and all places are taken there: it has locks and places of its own."""
    pool = pool_of(own_redis, connections_max=1)
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with pool.connection():
            entered.set()
            leave.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    entered.wait(30)
    child = os.fork()
    if child == 0:
        os._exit(0 if answers(pool) else 1)
    _, status = os.waitpid(child, 0)
    leave.set()
    holder.join()
    assert status == 0
    assert pool.call("PING") == b"PONG"


def test_a_closed_pool_makes_no_connection(pool: ConnectionPool, own_redis: RedisServer) -> None:
    """What was idle is ended."""
    pool.call("PING")
    pool.close()
    assert not clients_of(own_redis)
    with pytest.raises(NothingSent, match="closed"):
        pool.call("PING")


def test_no_thread_and_no_event_loop_is_started(own_redis: RedisServer) -> None:
    """Where a thread per call, or a loop, would be one too many."""
    program = (
        "import sys, threading, channel_layer\n"
        "layer = channel_layer.connect_blocking(sys.argv[1])\n"
        "layer.group_send('room', {'type': 'websocket.send', 'text': 'hello'})\n"
        "layer.send('thumbnails', {'type': 'make'}); layer.receive('thumbnails', timeout=5)\n"
        "assert threading.active_count() == 1, threading.enumerate()\n"
        "assert 'uvloop' not in sys.modules and 'twisted' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program, own_redis.url], check=True, timeout=30)
