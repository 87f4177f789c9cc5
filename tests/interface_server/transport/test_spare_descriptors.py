"""An interface server that has used up its file descriptors."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

from tests.support.redis_server import RedisServer
from tests.support.serving import BIN, GRACE, free_port, running, wait_until

LIMIT, CLIENTS = 80, 90
READY = b"GET /-/health/ready HTTP/1.1\r\nHost: x\r\n\r\n"


def is_open(client: socket.socket) -> bool:
    client.setblocking(False)
    try:
        return client.recv(1) != b""
    except BlockingIOError:
        return True
    except ConnectionResetError:
        return False


def ready(client: socket.socket) -> bool:
    client.settimeout(15)
    client.sendall(READY)
    return client.recv(4096).startswith(b"HTTP/1.1 200")


def test_clients_leave_enough_descriptors_for_the_links_to_redis_and_that_is_told_once(
    own_redis: RedisServer, tmp_path: Path
) -> None:
    """P5, P9. Those that find none are closed at once, with one line in the log; Redis is found again all the same."""
    port = free_port()
    towpath = [BIN / "towpath", "interface", "--redis", own_redis.url, "--port", str(port), *GRACE]
    command = ["sh", "-c", f'ulimit -n {LIMIT} && exec "$@"', "sh", *towpath]
    with (
        running("interface", command, run_dir=tmp_path, port=port) as server,
        contextlib.ExitStack() as stack,
        own_redis.client() as redis,
    ):
        clients = [stack.enter_context(server.connect()) for _ in range(CLIENTS)]
        server.wait_for_log("no file descriptor is left for clients (the limit is 80)")
        wait_until(lambda: not is_open(clients[-1]), "the last of them is closed", server=server)
        assert is_open(clients[0])
        redis.client_kill_filter(_type="normal", skipme=True)
        redis.client_kill_filter(_type="pubsub")
        server.wait_for_log("connected to Redis again")
        assert ready(clients[0])
        assert server.log.count("no file descriptor is left") == 1
