"""The output of all processes on one terminal, each line with the name of its process: in front of it, or in JSON as a field.

supervisord writes the output of a process into a named pipe; a thread of ours reads all of them. It must be a thread: while
supervisord waits for space in a pipe it answers no request, and a parent that waits for an answer would not read the pipe.
"""

from __future__ import annotations

import os
import selectors
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from channel_layer.log_format.json_line import unwrapped, wrapped
from towpath.system import standard_streams

READ_SIZE_BYTES = 65_536
LINE_SIZE_BYTES_MAX = 65_536  #: a longer line is shown in pieces
JSON_LINE_SIZE_BYTES_MAX = 1_048_576  #: the same in JSON, where a piece is no object
HELD_SIZE_BYTES_MAX = 1_048_576  #: beyond it everything is shown

#: Warnings that do not apply: supervisord's socket lies in a folder that is closed to other users, and the embedded server
#: saves nothing, so that it never needs memory twice. A process that left as it was asked to is "stopped … (exit status 0)"; that server
#: is killed when all other processes have left.
EXPECTED = (
    b"without any HTTP authentication",
    b"indicating exit request",
    b"(exit status 0)",
    b"Memory overcommit must be enabled",
    b"stopped: redis (terminated by SIGKILL)",
)

NOT_OURS = ("redis", "supervisord")

#: Shows whole lines. It must not block, as the pipes must be read on.
Show = Callable[[bytes], None]


class LineBuffer:
    """Turns bytes into whole lines, each with a name in front."""

    def __init__(self, name: str, width: int, drop: tuple[bytes, ...] = (), as_json: bool = False) -> None:
        self.name = name
        self._as_json = as_json
        self._front = f"{name:<{width}} | ".encode()
        self._size_bytes_max = JSON_LINE_SIZE_BYTES_MAX if as_json else LINE_SIZE_BYTES_MAX
        self._rest = b""
        self._drop = drop

    def receive(self, data: bytes) -> bytes:
        """The lines that can be shown now."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > self._size_bytes_max:
            lines.append(self._rest)
            self._rest = b""
        wanted = [line for line in lines if not any(unwanted in line for unwanted in self._drop)]
        if self._as_json:
            now = datetime.now(UTC).timestamp()
            return b"".join(wrapped(line, self.name, now) + b"\n" for line in wanted if line)
        return b"".join(self._front + line + b"\n" for line in wanted)

    def end(self) -> bytes:
        """The last line, if it has no end."""
        return self.receive(b"\n") if self._rest else b""

    def bare(self, text: bytes) -> bytes:
        """Lines that `receive` returned, without the name."""
        if self._as_json:
            return b"".join(unwrapped(line) + b"\n" for line in text.splitlines())
        return b"".join(line.removeprefix(self._front) for line in text.splitlines(keepends=True))


class LogPipes:
    """The pipes of a `serve`, and the thread that reads them. Made before supervisord is started."""

    def __init__(
        self, folder: int, names: Iterable[str], show: Show = standard_streams.write_lines, as_json: bool = False
    ) -> None:
        """folder: a descriptor of the one for the pipes. as_json: each line is a JSON object, without a name in front."""
        self._show = show
        self._as_json = as_json
        self._on_output: dict[int, Callable[[bytes], None]] = {}
        self._held: list[tuple[LineBuffer, bytes]] | None = None  # None: everything is shown as it comes
        self._held_size_bytes = 0
        self._lock = threading.Lock()
        self._selector = selectors.DefaultSelector()
        names = list(names)
        self._width = max(map(len, names))
        for name in names:
            os.mkfifo(name, 0o600, dir_fd=folder)
            # For writing too, so that the pipe has no end when its writer has gone.
            self._add(os.open(name, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW, dir_fd=folder), name)
        wake, self._waker = os.pipe()
        self._selector.register(wake, selectors.EVENT_READ, None)
        self._thread = threading.Thread(target=self._run, name="towpath-logs", daemon=True)

    def add(self, descriptor: int, name: str, on_output: Callable[[bytes], None]) -> None:
        """Read this pipe too, and call `on_output` from our thread with all that comes. To be called before `start`."""
        os.set_blocking(descriptor, False)
        self._on_output[descriptor] = on_output
        self._add(descriptor, name)

    def start(self) -> None:
        """Begin to read: output is shown, or held."""
        self._thread.start()

    def hold(self) -> None:
        """Hold all output until `release`, or until it is too much. To be called before `start`."""
        self._held = []

    def release(self) -> None:
        """Show the held output, and from now on all output as it comes."""
        with self._lock:
            for _, text in self._held or ():
                self._show(text)
            self._held = None

    def held_by(self, name: str) -> bytes:
        """The held output of one process, without its name."""
        with self._lock:
            return b"".join(lines.bare(text) for lines, text in self._held or () if lines.name == name)

    def close(self) -> None:
        """Show all output that is still in the pipes, and end the thread."""
        os.write(self._waker, b".")
        self._thread.join()

    def _add(self, descriptor: int, name: str) -> None:
        lines = LineBuffer(name, self._width, EXPECTED if name in NOT_OURS else (), self._as_json)
        self._selector.register(descriptor, selectors.EVENT_READ, lines)

    def _run(self) -> None:
        is_closing = False
        while True:
            events = self._selector.select(0 if is_closing else None)
            for key, _ in events:
                if key.data is None:
                    self._selector.unregister(key.fd)
                    is_closing = True
                elif not self._pass_on(key.fd, key.data):
                    self._selector.unregister(key.fd)
            if is_closing and not events:
                break
        for key in list(self._selector.get_map().values()):
            self._put(key.data, key.data.end())
            os.close(key.fd)

    def _pass_on(self, descriptor: int, lines: LineBuffer) -> bool:
        try:
            data = os.read(descriptor, READ_SIZE_BYTES)
        except BlockingIOError:
            return True
        self._put(lines, lines.receive(data))
        if data and descriptor in self._on_output:
            self._on_output[descriptor](data)
        return bool(data)

    def _put(self, lines: LineBuffer, text: bytes) -> None:
        if self._held is not None and self._held_size_bytes > HELD_SIZE_BYTES_MAX:
            self.release()
        with self._lock:
            if self._held is None:
                self._show(text)
            else:
                self._held.append((lines, text))
                self._held_size_bytes += len(text)
