"""Listening, and Twisted's protocols on uvloop's transports."""

from __future__ import annotations

import asyncio
import socket
import stat
from pathlib import Path

import pytest
from twisted.internet.protocol import Factory, Protocol

from interface_server.transport.dual_stack import unmapped
from interface_server.transport.endpoint import ServerEndpoint
from interface_server.transport.unix_socket_file import remove_stale


class Shout(Protocol):
    """Says everything back in capitals."""

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        if data == b"switch":
            self.transport.switch_protocol(whisper := Whisper())  # type: ignore[attr-defined]
            whisper.makeConnection(self.transport)
        else:
            self.transport.writeSequence([data.upper(), b"!"])


class Whisper(Protocol):
    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(b"switched ")

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data.lower())


async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    async with asyncio.timeout(10):
        writer.write(b"Hello")
        heard = await reader.readexactly(6)
        writer.write(b"switch")
        heard += await reader.readuntil(b" ")
        writer.write(b"LATER")
        heard += await reader.readexactly(5)
    writer.close()
    return heard


async def open_endpoint(**where: object):
    return await ServerEndpoint(asyncio.get_running_loop(), **where).open(Factory.forProtocol(Shout))  # type: ignore[arg-type]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
async def test_a_twisted_protocol_serves_on_each_kind_of_address(host: str):
    port = await open_endpoint(host=host)
    try:
        address = port.sockets[0].getsockname()
        assert await conversation(*await asyncio.open_connection(*address[:2])) == b"HELLO!switched later"
        assert (port.getHost().host, port.getHost().port) == address[:2]
    finally:
        port.stopListening()


async def test_an_inherited_socket_is_served():
    sock = socket.create_server(("127.0.0.1", 0))
    port = await open_endpoint(fd=sock.fileno())
    sock.detach()
    try:
        assert (
            await conversation(*await asyncio.open_connection(*port.sockets[0].getsockname()))
            == b"HELLO!switched later"
        )
    finally:
        port.stopListening()


async def test_several_may_share_a_port_if_they_all_say_so():
    one = await open_endpoint(reuse_port=True)
    number = one.sockets[0].getsockname()[1]
    two = await open_endpoint(port=number, reuse_port=True)
    one.stopListening()
    try:
        assert await conversation(*await asyncio.open_connection("127.0.0.1", number)) == b"HELLO!switched later"
    finally:
        two.stopListening()


async def test_both_families_come_in_at_the_one_address_of_everywhere_and_v4_is_called_v4():
    port = await open_endpoint(host="::")
    number = port.sockets[0].getsockname()[1]
    try:
        for host in ("127.0.0.1", "::1"):
            assert await conversation(*await asyncio.open_connection(host, number)) == b"HELLO!switched later"
    finally:
        port.stopListening()
    assert unmapped("::ffff:192.0.2.7") == "192.0.2.7"
    assert [unmapped(host) for host in ("192.0.2.7", "::1", "::ffff:1")] == ["192.0.2.7", "::1", "::ffff:1"]


async def test_a_port_that_is_taken_is_an_error_with_nothing_left_behind():
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError):
        await open_endpoint(port=taken.getsockname()[1])


async def test_a_unix_socket_takes_the_place_of_a_dead_one_and_is_removed_at_the_end(tmp_path: Path):
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    port = await open_endpoint(uds=str(path))
    assert await conversation(*await asyncio.open_unix_connection(str(path))) == b"HELLO!switched later"
    with pytest.raises(OSError):
        remove_stale(path)
    port.stopListening()
    assert not path.exists()


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6, socket.AF_UNIX], ids=lambda family: family.name)
async def test_a_client_is_refused_although_another_process_has_the_listening_socket_open(
    tmp_path: Path, family: socket.AddressFamily
):
    """Whoever keeps it alive would else let clients wait in the backlog for nobody."""
    where = {socket.AF_INET: ("127.0.0.1", 0), socket.AF_INET6: ("::1", 0), socket.AF_UNIX: str(tmp_path / "s")}[family]
    with socket.socket(family) as another:
        another.bind(where)
        another.listen()
        port = await open_endpoint(fd=another.dup().detach())
        port.refuse()
        port.stopListening()
        with socket.socket(family) as client, pytest.raises(ConnectionRefusedError):
            client.connect(another.getsockname())


@pytest.mark.parametrize(
    ("before", "asked", "then"), [(None, "", 0o666), (0o660, "", 0o660), (0o660, "600", 0o600), (None, "0660", 0o660)]
)
async def test_a_unix_socket_is_no_wider_than_the_one_before_it_unless_that_is_asked_for(
    tmp_path: Path, before: int | None, asked: str, then: int
):
    path = tmp_path / "s"
    if before is not None:
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
        path.chmod(before)
    port = await open_endpoint(uds=str(path), uds_permissions=asked)
    assert stat.S_IMODE(path.stat().st_mode) == then
    port.stopListening()


async def test_what_is_no_socket_is_not_removed(tmp_path: Path):
    (tmp_path / "s").write_text("precious")
    with pytest.raises(FileExistsError):
        await open_endpoint(uds=str(tmp_path / "s"))
    assert (tmp_path / "s").read_text() == "precious"


async def test_stopping_to_listen_leaves_those_who_are_connected_alone():
    port = await open_endpoint()
    streams = await asyncio.open_connection(*port.sockets[0].getsockname())
    streams[1].write(b"a")
    assert await streams[0].readexactly(2) == b"A!"
    port.stopListening()
    assert await conversation(*streams) == b"HELLO!switched later"


@pytest.mark.parametrize("refuses", [False, True], ids=["close", "refuse, close"])
@pytest.mark.parametrize("kind", ["a port", "a unix socket", "an inherited one"])
async def test_clients_that_wait_to_be_accepted_when_listening_ends_are_served(
    tmp_path: Path, kind: str, refuses: bool
):
    """P7. They have connected, and may have sent a request: the kernel would reset them. (To who has inherited it too, they are left.)"""
    loop, count = asyncio.get_running_loop(), 20
    with socket.create_server(("127.0.0.1", 0)) as another:
        where = {
            "a port": {},
            "a unix socket": {"uds": str(tmp_path / "s")},
            "an inherited one": {"fd": another.dup().detach()},
        }
        port = await open_endpoint(**where[kind])
        clients = [socket.socket(port.sockets[0].family) for _ in range(count)]
        for client in clients:  # in one turn of the loop, which therefore accepts none of them
            client.connect(port.sockets[0].getsockname())
            client.sendall(b"a")
        if refuses:
            port.refuse()
        port.stopListening()
        left_to_others = kind == "an inherited one" and not refuses
        for client in clients:
            client.setblocking(False)
            with client:
                if not left_to_others:
                    assert await asyncio.wait_for(loop.sock_recv(client, 2), 10) == b"A!"
        if left_to_others:
            another.setblocking(False)
            async with asyncio.timeout(10):
                for _ in range(count):
                    (await loop.sock_accept(another))[0].close()


async def test_twisteds_face_of_it_is_a_deferred():
    endpoint = ServerEndpoint(asyncio.get_running_loop())
    port = await endpoint.listen(Factory.forProtocol(Shout)).asFuture(asyncio.get_running_loop())
    port.stopListening()
