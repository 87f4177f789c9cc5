"""A log whose reader does not read: nobody waits for it, and what is lost is told."""

from __future__ import annotations

import contextlib
import logging
import os
import pty
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from channel_layer.process.log_output import PIECE_BYTES_MAX, WAITING_BYTES_MAX, LogOutput
from channel_layer.process.log_relay import LogRelay
from tests.support.facts import read_until, wait_until
from tests.support.redis_server import RedisServer
from tests.support.serving import BIN, Server, environment, free_port, is_ready
from towpath.status.redis_status import RedisStatus

LINE = b"x" * 999 + b"\n"
MANY = 4 * WAITING_BYTES_MAX // len(LINE)  # more than any pipe and the bound together


def lost(lines: int, unread_s: float) -> bytes:
    assert unread_s >= 0
    return b"lost: %d\n" % lines


def pipe() -> tuple[int, int]:
    return os.pipe()


def terminal() -> tuple[int, int]:
    """Its reader is the window; `raw`, as a terminal would make two bytes of an end of line."""
    window, shell = pty.openpty()
    subprocess.run(["stty", "raw"], stdin=shell, check=True)
    return window, shell


def journal() -> tuple[int, int]:
    """What systemd gives a service."""
    reader, writer = socket.socketpair()
    return reader.detach(), writer.detach()


@pytest.fixture(params=[pipe, terminal, journal], ids=lambda make: make.__name__)
def ends(request: pytest.FixtureRequest) -> Iterator[tuple[int, int]]:
    """Reader and writer."""
    make: Callable[[], tuple[int, int]] = request.param
    descriptors = make()
    yield descriptors
    for descriptor in descriptors:
        os.close(descriptor)


def test_lines_wait_for_their_reader_and_nobody_waits_for_it(ends: tuple[int, int]) -> None:
    """Up to a bound they come whole and in order; the others are counted, and told where they are missing."""
    reader, writer = ends
    output = LogOutput(writer, lost)
    for number in range(MANY):
        output.write(b"%07d" % number + LINE[7:])  # returns at once, or the test hangs here
    assert os.get_blocking(writer), "others share it"
    said = read_until(reader, lambda read: b"lost: " in read and read.endswith(b"\n"))
    *lines, told = said.splitlines()
    assert [int(line[:7]) for line in lines] == list(range(len(lines)))
    assert int(told.split()[-1]) == MANY - len(lines) > 0
    wait_until(lambda: output._thread is None)
    output.write(b"again\n")
    read_until(reader, lambda read: read.endswith(b"again\n"))


def test_a_process_ends_although_nobody_reads_what_it_said(ends: tuple[int, int]) -> None:
    """What still waits has a second, as long as the reader takes something."""
    code = (
        "import logging\nfrom channel_layer.process import log_setup\nlog_setup.set_up('info', None)\n"
        f"for _ in range({MANY}): logging.getLogger('towpath.x').info('x' * 999)\n"
    )
    home = {"PYTHONPATH": str(Path(__file__).parents[3])}
    assert subprocess.run([sys.executable, "-c", code], env=home, stderr=ends[1], timeout=60).returncode == 0


def test_a_forked_child_logs_too_and_says_nothing_twice() -> None:
    """What waits belongs to the parent."""
    reader, writer = os.pipe()
    output = LogOutput(writer, lost)
    for _ in range(100):
        output.write(LINE)  # more than a pipe holds
    child = os.fork()
    if child == 0:
        output.write(b"child\n")
        output.flush()
        os._exit(0)
    said = read_until(reader, lambda read: len(read) >= 100_006)  # the line of the child comes wherever there is space
    wait_until(lambda: os.waitpid(child, os.WNOHANG)[0] == child)
    assert (said.count(LINE), said.count(b"child\n"), len(said)) == (100, 1, 100_006)
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize("make", [pipe, journal])
def test_two_processes_leave_each_others_lines_whole(make: Callable[[], tuple[int, int]]) -> None:
    """Also where one of them writes more lines at once than a pipe takes, and the reader is late."""
    reader, writer = make()
    line, many_lines = b"b" * 699 + b"\n", b"".join(b"%099d\n" % number for number in range(1000))
    output = LogOutput(writer, lost)
    child = os.fork()
    if child == 0:
        try:
            for _ in range(1000):
                output.write(line)
            wait_until(
                lambda: output._thread is None
            )  # `flush` gives up if this late reader takes nothing for a second
        finally:
            os._exit(0)
    for _ in range(5):
        output.write(many_lines)
    size = 1000 * len(line) + 5 * len(many_lines)
    lines = read_until(reader, lambda read: len(read) >= size, size_bytes=1000).splitlines(keepends=True)
    wait_until(lambda: os.waitpid(child, os.WNOHANG)[0] == child)
    assert lines.count(line) == 1000
    assert [each for each in lines if each != line] == 5 * many_lines.splitlines(keepends=True)
    os.close(reader)
    os.close(writer)


def test_a_line_longer_than_a_piece_comes_too(ends: tuple[int, int]) -> None:
    """It may be cut by a line of another process; nothing of it is lost."""
    reader, writer = ends
    lines = b"short\n" + b"x" * (3 * PIECE_BYTES_MAX) + b"\n" + b"short\n"
    output = LogOutput(writer, lost)
    output.write(lines)
    assert read_until(reader, lambda read: len(read) >= len(lines)) == lines


def test_a_pipe_that_had_no_reader_at_first_gets_whole_lines_too(tmp_path: Path) -> None:
    """It cannot be opened once more then, so each write is preceded by a poll."""
    os.mkfifo(tmp_path / "log")
    reader = os.open(tmp_path / "log", os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(tmp_path / "log", os.O_WRONLY)
    os.close(reader)
    output = LogOutput(writer, lost)
    reader = os.open(tmp_path / "log", os.O_RDONLY)
    lines = b"".join(b"%099d\n" % number for number in range(2000))
    output.write(lines)
    assert read_until(reader, lambda read: len(read) >= len(lines)) == lines
    os.close(reader)
    os.close(writer)


def test_a_line_to_nobody_is_lost_and_no_error() -> None:
    """The reader has gone."""
    reader, writer = os.pipe()
    output = LogOutput(writer, lost)
    os.close(reader)
    output.write(LINE)
    output.flush()
    os.close(writer)


def test_a_relay_says_lines_in_order_and_its_caller_waits_for_no_handler() -> None:
    """P8. The thread of a lease logs, and the application has set up a handler that waits for its reader."""
    may_go_on, said = threading.Event(), list[str]()

    class Stuck(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            may_go_on.wait()
            said.append(record.getMessage())

    log = logging.Logger("stuck")
    log.addHandler(Stuck())
    relay = LogRelay(log)
    for number in range(3):
        relay.warning("line %d", number)
    assert said == []
    may_go_on.set()
    wait_until(lambda: said == ["line 0", "line 1", "line 2"])


def test_an_interface_server_whose_log_nobody_reads_serves_on_keeps_its_lease_and_leaves(
    redis_server: RedisServer, prefix: str
) -> None:
    """P8, P12. 400 kB of lines for a pipe of 64: each request would wait for the first that does not fit."""
    port = free_port()
    command = [BIN / "towpath", "interface", "--redis", redis_server.url, "--prefix", prefix, "--port", str(port)]
    interface = subprocess.Popen(
        [*command, "--queue-wait", "0.01"], env=environment({}), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    server = Server("interface", interface, Path(os.devnull), Path(os.devnull), port=port)
    try:
        wait_until(lambda: is_ready(server), "ready", 40)
        with contextlib.ExitStack() as clients:
            asked = [clients.enter_context(server.connect()) for _ in range(100)]
            for client in asked:
                client.sendall(f"GET /{'x' * 4000} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert all(client.recv(16).startswith(b"HTTP/1.1 503") for client in asked)
        status = RedisStatus(redis_server.url, prefix)
        assert [process["role"] for process in status.read().processes] == ["interface"]
        status.close()
        assert is_ready(server)
        interface.terminate()
        assert interface.wait(20) == 0
    finally:
        interface.kill()
        interface.communicate()
