"""P7: a rolling restart loses no server-sent event, and what is no event stream is cut so that its client can tell."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx

from tests.promises.conftest import PROJECT, Traces
from tests.promises.fleet import get, processes, towpath, whole_answer
from tests.support.plain_http import PLAIN
from tests.support.serving import Server, towpath_interface, towpath_serve, towpath_worker, wait_until

DRAIN = ("--timeout-graceful-shutdown", "3")


class EventSource:
    """A client as a browser is one: it reads, and when a response ends it comes again with `Last-Event-ID`.

    A response that is cut raises here, where a browser would not care: it is what must not happen. Where nobody listens
    any more it goes to the next server, as a balancer would send it.
    """

    def __init__(self, *servers: Server) -> None:
        self.numbers: list[int] = []
        self.pids: list[str] = []
        self.responses = 0
        self.faults: list[str] = []
        self.over = threading.Event()
        self._servers = list(servers)
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        try:
            while not self.over.is_set():
                # A connection for each: a browser's comes again after some seconds, and knows by then which are closed.
                with httpx.Client(**PLAIN, timeout=20) as client:
                    try:
                        self._one_response(client)
                    except httpx.ConnectError:
                        del self._servers[0]
        except Exception as error:
            self.faults.append(repr(error))

    def _one_response(self, client: httpx.Client) -> None:
        headers = {"accept": "text/event-stream"}
        if self.numbers:
            headers["last-event-id"] = str(self.numbers[-1])
        with client.stream("GET", self._servers[0].url + "/bell", headers=headers) as response:
            assert response.status_code == 200
            self.responses += 1
            for number, pid in events_of(response):
                self.numbers.append(number)
                self.pids.append(pid)
                if self.over.is_set():
                    return

    def end(self) -> None:
        self.over.set()
        self._thread.join()


def events_of(response: httpx.Response) -> Iterator[tuple[int, str]]:
    """Number and data of each event that is whole."""
    fields: dict[str, str] = {}
    for line in response.iter_lines():
        name, _, value = line.partition(": ")
        if name:
            fields[name] = value
        elif fields:
            yield int(fields["id"]), fields["data"]
            fields = {}


def test_an_event_stream_goes_on_over_a_reload_and_no_event_is_lost(tmp_path: Path) -> None:
    """P7. Each response ends by its last chunk; the next one begins behind the last event that was seen."""
    options = ("--workers", "2", *DRAIN)
    with towpath_serve("event_stream", app_dir=PROJECT, run_dir=tmp_path, options=options) as server:
        listeners = [EventSource(server) for _ in range(4)]
        try:
            wait_until(lambda: all(len(one.numbers) > 10 for one in listeners), "all hear the bell", server=server)
            before = {str(pid) for pid in processes(server, "worker")}
            towpath(server, "reload").check_returncode()
            wait_until(lambda: all(one.faults or one.pids[-1] not in before for one in listeners), "from new workers")
        finally:
            for one in listeners:
                one.end()
        for one in listeners:
            assert not one.faults
            assert one.responses >= 2
            assert one.numbers == list(range(1, len(one.numbers) + 1))


def test_an_interface_server_that_leaves_ends_event_streams_and_lets_other_responses_go_on(
    tmp_path: Path, url: str
) -> None:
    """P7. At the beginning of its time, by their last chunk: so their clients are back, elsewhere, long before it is over."""
    others_time = ("--timeout-graceful-shutdown", "3")
    with (
        towpath_worker("event_stream", url, app_dir=PROJECT, run_dir=tmp_path / "worker"),
        towpath_interface(url, run_dir=tmp_path / "leaving", options=others_time) as leaving,
        towpath_interface(url, run_dir=tmp_path / "staying") as staying,
    ):
        listeners = [EventSource(leaving, staying) for _ in range(4)]
        with leaving.connect(timeout_s=30) as plain:
            plain.sendall(get("/bell"))  # whoever does not say that it is an EventSource is none
            try:
                wait_until(lambda: all(len(one.numbers) > 10 for one in listeners), "all hear the bell", server=staying)
                heard = max(len(one.numbers) for one in listeners)
                leaving.process.send_signal(signal.SIGTERM)
                wait_until(lambda: all(one.faults or one.responses > 1 for one in listeners), "elsewhere", 3.0)
                assert leaving.process.poll() is None, "there is time left for others"
                wait_until(lambda: all(one.faults or len(one.numbers) > heard + 10 for one in listeners), "they go on")
                answer = whole_answer(plain)
            finally:
                for one in listeners:
                    one.end()
        for one in listeners:
            assert not one.faults
            assert one.numbers == list(range(1, len(one.numbers) + 1))
        assert answer.count(b"id: ") > heard + 20 and not answer.endswith(b"0\r\n\r\n")
        assert leaving.process.wait(30) == 0


def test_what_is_no_event_stream_is_cut_when_the_time_is_over(tmp_path: Path, traces: Traces) -> None:
    """P7. The same moment, half a response that nobody would go on with: no last chunk."""
    with towpath_serve("witness", app_dir=PROJECT, run_dir=tmp_path, env=traces.env, options=DRAIN) as server:
        with server.connect(timeout_s=30) as client:
            client.sendall(get("/half").replace(b"Host", b"Accept: text/event-stream\r\nHost"))
            wait_until(lambda: bool(traces.lines("hanging")), "half a response", server=server)
            towpath(server, "scale", "worker=0").check_returncode()
            answer = whole_answer(client)
        assert b"half" in answer and not answer.endswith(b"0\r\n\r\n")
