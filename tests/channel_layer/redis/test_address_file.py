"""The address in a file: what is taken up while a process runs, and what is said of a file that is of no use."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from channel_layer.redis.address import Credentials, RedisAddress
from channel_layer.redis.address_file import AddressFile, address_source, path_in
from tests.support.facts import wait_until

URL = "redis://bargee:first@host:7/3"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "redis url"
    path.write_text(f"{URL}\n")
    return path


def write_in_place(path: Path, url: str) -> None:
    path.write_text(url)


def rename(path: Path, url: str) -> None:
    draft = path.with_suffix(".draft")
    draft.write_text(url)
    draft.rename(path)


def swap_link(path: Path, url: str) -> None:
    """As Kubernetes does: the name leads by a link through a folder that is a link, and that one is exchanged."""
    versions = path.parent / "versions"
    version = versions / str(len([*versions.glob("*")]))
    version.mkdir(parents=True)
    (version / path.name).write_text(url)
    draft = path.parent / "..data.draft"
    draft.symlink_to(version)
    draft.rename(path.parent / "..data")
    if not path.is_symlink():
        path.unlink()
        path.symlink_to(Path("..data") / path.name)


@pytest.mark.parametrize("exchange", [write_in_place, rename, swap_link], ids=lambda each: each.__name__)
def test_a_password_that_was_exchanged_is_taken_up_however_the_file_is_replaced(
    file: Path, exchange: Callable[[Path, str], None]
) -> None:
    """P9. Docker writes or binds, tools rename, Kubernetes swaps a link."""
    source = address_source(file.as_uri())
    assert source.current().credentials == Credentials("bargee", "first")
    for password in ("second", "third"):
        exchange(file, f"redis://bargee:{password}@host:7/3\n")
        assert source.current().credentials == Credentials("bargee", password)
    exchange(file, "redis://host:7/3")
    assert source.current().credentials is None


def test_the_passwords_of_the_sentinels_are_taken_up_too(file: Path) -> None:
    """P9. They may be others than that of the server."""
    file.write_text("redis+sentinel://:one@a:1, b:2/main?sentinel_password=two")
    source = AddressFile(file)
    file.write_text("redis+sentinel://:three@a:1, b:2/main?sentinel_password=four")
    address = source.current()
    assert (address.credentials, address.sentinel_credentials) == (
        Credentials(None, "three"),
        Credentials(None, "four"),
    )


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", "is empty; it must hold the URL of Redis"),
        (b" \n", "is empty; it must hold the URL of Redis"),
        (b"secret", "holds no Redis URL: one line that begins with redis://, "),
        (b"REDIS_URL=redis://:secret@host", "holds no Redis URL"),
        (b"redis://:secret@host\nredis://:secret@other", "holds no Redis URL"),
        (b"\xffsecret", "holds no Redis URL, but bytes that are not UTF-8"),
        (b"redis://:secret@host/x", "'redis://:***@host/x' is not a Redis URL: '/x' is no number of a database"),
        (b"file:///etc/secret", "holds no Redis URL"),
    ],
)
def test_a_file_of_no_use_fails_the_start_in_one_sentence_and_later_is_no_reason_to_stop(
    file: Path, content: bytes | None, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    """P9, P12. What was read last stays, the log says why, and nobody reads a password there."""
    source = AddressFile(file)
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(f"{file}") + ":? " + re.escape(why)) as raised:
        AddressFile(file)
    for _ in range(3):
        assert source.current() == RedisAddress.parse(URL)
    wait_until(lambda: caplog.messages)
    (line,) = caplog.messages
    assert why in line and line.endswith("; connecting to Redis with what was read last")
    assert "secret" not in (line + str(raised.value)).replace("/etc/secret", "")
    file.write_text("redis://bargee:second@host:7/3")
    assert source.current().credentials == Credentials("bargee", "second")


@pytest.mark.parametrize(
    "url",
    ["redis://other:7/3", "redis://host:8/3", "redis://host:7/4", "rediss://host:7/3", "unix:///run/redis.sock?db=3"],
)
def test_another_server_is_not_taken_up_while_the_process_runs(
    file: Path, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """P2. The connections of one deployment on two servers, or in two databases, would be two deployments."""
    source = AddressFile(file)
    file.write_text(url)
    assert source.current() == RedisAddress.parse(URL)
    wait_until(lambda: caplog.messages)
    assert f"names another server, {url}: that takes effect with a restart" in caplog.messages[0]


def test_a_fault_is_logged_once_a_minute_for_all_connections(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """P5. Five connections try once a second."""
    caplog.set_level(logging.WARNING, "towpath.redis")
    source = AddressFile(file)
    file.unlink()
    threads = [threading.Thread(target=source.current) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_until(lambda: caplog.messages)
    assert len(caplog.messages) == 1


def test_a_url_is_its_own_source_and_a_relative_path_is_refused(file: Path) -> None:
    """P12. What is relative would be looked for in the folder of whichever process reads it."""
    assert address_source(URL) == address_source(URL).current() == RedisAddress.parse(URL)
    assert path_in(URL) is None and path_in(file.as_uri()) == file
    with pytest.raises(ValueError, match="names no absolute path"):
        path_in("file://redis-url")
