"""P12. Applications that do what applications should not do: the client gets a clear answer, and the worker lives on.

The same assertions for both servers; where uvicorn is known to do something else, the test is Towpath's alone and says so.
"""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from socket import SHUT_RDWR

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.applications.rude_clients import kept_alive, read_until, request_head, reset, whole_answer
from tests.applications.served import KINDS, ours, served
from tests.support.plain_http import PLAIN
from tests.support.serving import Server

UPLOAD_SIZE = 20_000_000


@pytest.fixture(scope="module", params=KINDS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served(request.param, "odd_app:app", tmp_path_factory.mktemp(f"odd-{request.param}")) as server:
        yield server


@pytest.fixture(autouse=True)
def lives_on(server: Server) -> Iterator[None]:
    """P12. It costs nobody else anything: after every oddity the next request is served."""
    yield
    assert httpx.get(server.url, **PLAIN, timeout=15).text == "hello"


def dial(server: Server, path: str) -> ClientConnection:
    return connect(server.websocket_url + path, proxy=None, open_timeout=15)


def closed_with(socket: ClientConnection) -> tuple[int, str]:
    """The code and reason that the server closed with; 1006 if it left without a close frame."""
    with pytest.raises(ConnectionClosed) as closed:
        socket.recv(timeout=15)
    received = closed.value.rcvd
    return (received.code, received.reason) if received else (1006, "")


def refused_with(server: Server, path: str) -> tuple[int, bytes]:
    with pytest.raises(InvalidStatus) as refused:
        dial(server, path)
    return refused.value.response.status_code, bytes(refused.value.response.body)


class TestAnswersThatNeverCome:
    @pytest.mark.parametrize("path", ["/raises", "/returns-early"])
    def test_nothing_sent_gives_500(self, client: httpx.Client, path: str) -> None:
        assert client.get(path).status_code == 500

    @ours
    @pytest.mark.parametrize(
        ("path", "text"),
        [
            ("/raises", "the application failed\n"),
            ("/returns-early", "the application returned without an answer\n"),
        ],
    )
    def test_the_500_says_what_happened(self, client: httpx.Client, path: str, text: str) -> None:
        """In words that mean something to a reader who knows nothing of ASGI."""
        assert client.get(path).text == text

    def test_a_start_without_a_body_gives_no_complete_answer(self, client: httpx.Client) -> None:
        """Nothing of the body was sent, so 500 is still possible; a cut answer is honest too. A complete 200 is a lie."""
        try:
            status = client.get("/raises-after-start").status_code
        except httpx.RemoteProtocolError:
            status = 500
        assert status == 500

    def test_the_log_has_the_traceback(self, client: httpx.Client, server: Server) -> None:
        client.get("/raises")
        server.wait_for_log("LookupError: raised before the start")

    @ours
    def test_a_broken_exchange_is_named_in_the_log(self, client: httpx.Client, server: Server) -> None:
        """The connection's name is its reply channel: `node!number`."""
        client.get("/raises")
        server.wait_for_log("LookupError: raised before the start")
        lines = server.log.splitlines()
        end = next(index for index, line in enumerate(lines) if "LookupError: raised before the start" in line)
        assert any("!" in line for line in lines[max(0, end - 40) : end])


class TestAnswersThatBreak:
    @pytest.mark.parametrize("path", ["/raises-in-body", "/returns-in-body"])
    def test_half_a_body_is_visibly_cut(self, server: Server, client: httpx.Client, path: str) -> None:
        """No final chunk, and the connection ends: the client can tell."""
        with pytest.raises(httpx.RemoteProtocolError):
            client.get(path)
        answer = whole_answer(server, request_head("GET", path))
        assert answer.startswith(b"HTTP/1.1 200")
        assert not answer.endswith(b"0\r\n\r\n")

    def test_a_body_shorter_than_its_length_is_cut(self, client: httpx.Client) -> None:
        with pytest.raises(httpx.RemoteProtocolError):
            client.get("/too-short")

    def test_a_body_longer_than_its_length_never_spills(self, server: Server) -> None:
        """What is too much would be read as the next answer."""
        answer = whole_answer(server, request_head("GET", "/too-long", "Connection: close"))
        assert b"ger" not in answer.partition(b"\r\n\r\n")[2]

    def test_raising_after_a_complete_answer_changes_nothing_for_the_client(self, client: httpx.Client) -> None:
        assert client.get("/raises-at-the-end").text == "all of it"

    def test_a_header_cannot_be_split(self, server: Server) -> None:
        answer = whole_answer(server, request_head("GET", "/splits-a-header", "Connection: close"))
        assert b"stowaway" not in answer
        assert answer[:12] in (b"", b"HTTP/1.1 500")

    @pytest.mark.parametrize("status", [204, 304])
    @ours
    def test_a_status_without_a_body_has_none(self, server: Server, status: int) -> None:
        """uvicorn sends it, and the next answer on the connection is out of step."""
        answer = whole_answer(server, request_head("GET", f"/body-of-none?{status}", "Connection: close"))
        assert answer.startswith(b"HTTP/1.1 %d" % status)
        assert answer.endswith(b"\r\n\r\n")
        assert b"transfer-encoding" not in answer.lower()

    def test_the_body_of_a_head_request_is_stripped(self, server: Server) -> None:
        with kept_alive(server) as connection:
            for _ in range(2):
                connection.request("HEAD", "/")
                response = connection.getresponse()
                assert (response.status, response.headers["content-length"], response.read()) == (200, "5", b"")


class TestNonsenseInSend:
    @pytest.mark.parametrize("what", ["unknown-type", "no-type", "not-a-dict", "body-first", "websocket-event"])
    def test_it_raises_inside_the_application_and_nothing_is_sent(self, client: httpx.Client, what: str) -> None:
        answer = client.get(f"/nonsense?{what}")
        assert answer.status_code == 200
        assert answer.text.startswith("error: "), "an OSError would say that the client had left"

    @pytest.mark.parametrize("what", ["text-body", "text-header", "set-value"])
    @ours
    def test_values_that_are_not_of_asgi_raise_too(self, client: httpx.Client, what: str) -> None:
        """uvicorn finds out later, if at all."""
        assert client.get(f"/nonsense?{what}").text.startswith("error: ")

    def test_more_after_the_end_raises(self, client: httpx.Client) -> None:
        assert client.get("/sends-too-much?much").text == "complete"
        assert client.get("/heard?much").text.startswith("error: ")


class TestUploads:
    def test_an_application_that_reads_nothing_answers_at_once(self, server: Server) -> None:
        """The client reads the answer even though it never got to send all of its body."""
        with server.connect() as client:
            client.sendall(request_head("POST", "/deaf", f"Content-Length: {UPLOAD_SIZE}") + b"x" * 10_000)
            answer = read_until(client, b"did not listen")
        assert answer.startswith(b"HTTP/1.1 403")

    def test_an_application_that_reads_late_gets_everything(self, client: httpx.Client, other: httpx.Client) -> None:
        """P5. A body much larger than every window waits at the client meanwhile."""

        def body() -> Iterator[bytes]:
            for number in range(UPLOAD_SIZE // 100_000):
                if number == 1:
                    assert other.get("/heard?late-started").text == "rung"
                    other.get("/ring?late-go")
                yield b"u" * 100_000

        assert client.post("/hesitant?late", content=body()).text == str(UPLOAD_SIZE)

    def test_a_client_that_leaves_in_its_upload_is_noticed(self, server: Server, client: httpx.Client) -> None:
        leaver = server.connect()
        leaver.sendall(request_head("POST", "/cut-upload?cut", "Content-Length: 1000") + b"half")
        assert client.get("/heard?cut-started").text == "rung"
        reset(leaver)
        assert client.get("/heard?cut").text == "http.disconnect"

    def test_100_continue_comes_when_the_application_asks_for_the_body(
        self, server: Server, client: httpx.Client
    ) -> None:
        headers = ("Content-Length: 4", "Expect: 100-continue", "Connection: close")
        with server.connect() as uploader:
            uploader.sendall(request_head("POST", "/hesitant?expect", *headers))
            assert client.get("/heard?expect-started").text == "rung"
            client.get("/ring?expect-go")
            assert read_until(uploader, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            uploader.sendall(b"body")
            response = http.client.HTTPResponse(uploader)
            response.begin()
            assert (response.status, response.read()) == (200, b"4")

    def test_no_100_continue_for_an_application_that_does_not_ask(self, server: Server) -> None:
        with server.connect() as uploader:
            uploader.sendall(request_head("POST", "/deaf", "Content-Length: 4", "Expect: 100-continue"))
            assert read_until(uploader, b"did not listen").startswith(b"HTTP/1.1 403")


class TestTimeAfterTheResponse:
    def test_the_next_request_is_served_while_the_last_one_still_works(self, server: Server) -> None:
        """On the same connection; and `receive()` after a complete response says disconnect."""
        with kept_alive(server) as connection:
            texts = []
            for target in ("/background?bg", "/", "/ring?bg-go", "/heard?bg"):
                connection.request("GET", target)
                texts.append(connection.getresponse().read())
        assert texts == [b"answered", b"hello", b"", b"http.disconnect"]


class TestLoading:
    @ours
    def test_a_task_that_was_made_while_the_module_was_imported_runs(self, client: httpx.Client) -> None:
        """The loop that serves is the current one by then."""
        assert client.get("/heard?made-at-import").text == "rung"


class TestClientsThatLeave:
    def test_receive_says_disconnect_every_time_and_send_says_nothing(
        self, server: Server, client: httpx.Client
    ) -> None:
        """ASGI 2.3, which the scope announces: a `send()` that raises came with 2.4."""
        leaver = server.connect()
        leaver.sendall(request_head("GET", "/waits?leaver"))
        assert b"here you are" in read_until(leaver, b"here you are")
        reset(leaver)
        seen = client.get("/heard?leaver").text
        assert seen == "http.request http.disconnect http.disconnect"

    def test_receive_says_disconnect(self, server: Server, client: httpx.Client) -> None:
        leaver = server.connect()
        leaver.sendall(request_head("GET", "/waits?leaves"))
        assert b"here you are" in read_until(leaver, b"here you are")
        leaver.close()
        assert client.get("/heard?leaves").text.startswith("http.request http.disconnect")

    @ours
    def test_who_sends_without_end_hears_of_it(self, server: Server, client: httpx.Client) -> None:
        """P5. It waits in `send()` while nobody reads, is woken when the client leaves, and ends. Under uvicorn it never does."""
        leaver = server.connect()
        leaver.sendall(request_head("GET", "/pours?poured"))
        assert leaver.recv(1000)
        reset(leaver)
        assert client.get("/heard?poured").text.startswith("OSError: ")


class TestWebSockets:
    def test_a_denial_response_reaches_the_client(self, server: Server) -> None:
        assert refused_with(server, "/deny") == (401, b"no ticket")

    def test_a_rejection_is_403(self, server: Server) -> None:
        assert refused_with(server, "/reject")[0] == 403

    @pytest.mark.parametrize("path", ["/raises", "/returns-early"])
    def test_no_answer_to_a_handshake_is_500(self, server: Server, path: str) -> None:
        assert refused_with(server, path)[0] == 500

    @ours
    def test_raising_in_an_open_socket_is_1011(self, server: Server) -> None:
        """uvicorn drops the connection: 1006."""
        with dial(server, "/raise") as socket:
            socket.send("go on")
            assert closed_with(socket)[0] == 1011

    @ours
    def test_returning_from_an_open_socket_is_1000(self, server: Server) -> None:
        """uvicorn drops the connection: 1006."""
        with dial(server, "/return") as socket:
            socket.send("go on")
            assert closed_with(socket)[0] == 1000

    @pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "tide"), (3000, ""), (4999, "grüße")])
    def test_the_application_chooses_its_close_code(self, server: Server, code: int, reason: str) -> None:
        with dial(server, f"/close?{code}-{reason}") as socket:
            assert closed_with(socket)[0] == code

    @pytest.mark.parametrize(
        "message", ["", b"", "⛵" * 100_000, bytes(200_000)], ids=["text", "bytes", "long", "zeros"]
    )
    def test_messages_come_back_as_they_went(self, server: Server, message: str | bytes) -> None:
        with dial(server, "/echo?echoed") as socket:
            socket.send(message)
            assert socket.recv(timeout=15) == message

    def test_a_fragmented_message_arrives_as_one(self, server: Server) -> None:
        with dial(server, "/echo?fragments") as socket:
            socket.send(iter(["one ", "two ", "three"]))
            assert socket.recv(timeout=15) == "one two three"

    def test_after_the_client_left_the_code_is_known_and_send_raises_oserror(
        self, server: Server, client: httpx.Client
    ) -> None:
        with dial(server, "/echo?left") as socket:
            socket.close(4005, "gone ashore")
        assert client.get("/heard?left").text.startswith("4005 gone ashore OSError: ")

    @ours
    def test_a_client_that_vanishes_is_1006(self, server: Server, client: httpx.Client) -> None:
        """uvicorn says 1005, which would be a close frame without a code."""
        with dial(server, "/echo?vanished") as socket:
            socket.send("here")
            assert socket.recv(timeout=15) == "here"
            socket.socket.shutdown(SHUT_RDWR)
        assert client.get("/heard?vanished").text.startswith("1006 ")

    @ours
    def test_nonsense_raises_inside_the_application(self, server: Server) -> None:
        """The socket stays open for what makes sense. uvicorn takes a part of it."""
        with dial(server, "/nonsense") as socket:
            assert socket.recv(timeout=15) == " ".join(["raised"] * 5)
            assert closed_with(socket)[0] == 1000

    def test_data_before_the_accept_raises_inside_the_application(self, server: Server) -> None:
        with dial(server, "/data-first") as socket:
            assert str(socket.recv(timeout=15)).startswith("error: ")
            assert closed_with(socket)[0] == 1000
