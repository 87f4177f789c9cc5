"""Which right of an ACL user is missing is said at the start, and nothing is left behind."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.exceptions import ResponseError

import channel_layer
from channel_layer.errors import LayerUnavailable
from channel_layer.redis.scripts import MAKE_GROUP, MAKE_INBOX, Script
from tests.support.guarded_redis import permissions
from tests.support.redis_server import RedisServer
from towpath.errors import StartFailure
from towpath.status import redis_check, redis_rights

SENDS = ("call", "send", "execute", "write", "execute_command")
USER, PASSWORD, PREFIX = "bargee", "secret", "towpath:"


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    server = RedisServer().start()
    yield server
    server.remove()


def allow(server: RedisServer, *rules: str) -> str:
    """A user with no other rights than these; the URL."""
    with server.client() as redis:
        redis.execute_command("ACL", "SETUSER", USER, "reset", "on", f">{PASSWORD}", *rules)
    return f"unix://{USER}:{PASSWORD}@{server.socket}?db=2"


def keys_of(server: RedisServer) -> list[str]:
    with server.client() as redis:
        redis.select(2)
        return [str(key) for key in redis.keys("*")]


def test_what_the_operations_document_asks_for_is_enough(server: RedisServer) -> None:
    """P11. It is tried to the last command, and no key stays."""
    redis_check.check_rights(allow(server, *permissions().split()), PREFIX)
    assert keys_of(server) == []


def test_the_line_of_the_operations_document_makes_a_user_where_a_new_one_may_use_all_channels() -> None:
    """P12. As Redis 6.2 does by itself: it refuses a list of channels beside all of them. Word by word, with no reset before it."""
    server = RedisServer(("--acl-pubsub-default", "allchannels")).start()
    try:
        with server.client() as redis:
            redis.execute_command("ACL", "SETUSER", USER, "on", f">{PASSWORD}", *permissions().split())
            assert redis.acl_getuser(USER)["channels"] in ("&towpath:*", ["&towpath:*"])
        redis_check.check_rights(f"unix://{USER}:{PASSWORD}@{server.socket}?db=2", PREFIX)
    finally:
        server.remove()


def test_none_of_the_rights_that_the_operations_document_asks_for_can_be_spared(server: RedisServer) -> None:
    """P12. So it asks for the narrowest ones; and whichever is missing, the start says which."""
    rights = permissions().split()
    assert all(right.startswith("+") and "@" not in right for right in rights[4:])
    for right in rights[4:]:
        url = allow(server, *rights, f"-{right[1:]}")
        with pytest.raises(StartFailure, match=r"refuses us|does not allow us") as failure:
            redis_check.check(url)
            redis_check.check_rights(url, PREFIX)
        assert re.search(
            rf"\{right} is missing|to run the '{right[1:]}' command|no permissions .* '{right[1:]}'", str(failure.value)
        )


@pytest.mark.parametrize(
    ("without", "told"),
    [
        ("-pexpire", "+pexpire"),
        ("-subscribe", "+subscribe"),
        ("-unsubscribe", "+unsubscribe"),
        ("-publish", "+publish"),
        ("-xreadgroup", "+xreadgroup"),
        ("-evalsha", "+evalsha"),
        ("-incrby", "+incrby"),
        ("-time -del", "+del +time"),
        ("resetchannels", "&towpath:*"),
        ("resetchannels &towpath:news:*", "&towpath:*"),
        ("resetkeys", "~towpath:*"),
        ("resetkeys ~other:*", "~towpath:*"),
    ],
)
def test_a_right_that_is_missing_is_named_and_nothing_is_left_without_an_end(
    server: RedisServer, without: str, told: str
) -> None:
    """P12. Else everything starts, /ready says 200, and groups are dead; or each start leaves an inbox for ever."""
    url = allow(server, *permissions().split(), *without.split())
    with pytest.raises(StartFailure, match=re.escape(f"what we need: {told} is missing")) as failure:
        redis_check.check_rights(url, PREFIX)
    assert PASSWORD not in str(failure.value)
    assert keys_of(server) == []


@pytest.mark.parametrize("without", ["resetchannels", "-publish"])
async def test_a_channel_layer_of_another_process_does_not_start_without_the_rights_of_groups(
    server: RedisServer, without: str
) -> None:
    """P10. Else it connects, and what is sent to its groups never comes. The commands of `towpath` have checked that before."""
    url = allow(server, *permissions().split(), without)
    with pytest.raises(
        LayerUnavailable, match=r"Redis refused PUBLISH: .*groups need a user with .*&towpath:\*"
    ) as failure:
        await channel_layer.connect(url)
    assert PASSWORD not in str(failure.value)
    layer = await channel_layer.connect(allow(server, *permissions().split()))
    await layer.close()


def test_every_command_of_the_scripts_is_tried() -> None:
    """A command that a script begins to use must not be the one that is missing at 3 a.m."""
    scripts = Path(channel_layer.__file__).parent / "scripts"
    used = {name for path in scripts.glob("*.lua") for name in re.findall(r"call\('([A-Z]+)'", path.read_text())}
    tried = set(re.findall(r'\("([A-Z]+)"', Path(redis_rights.__file__).read_text()))
    assert used and used <= tried


def test_every_command_of_the_code_is_tried_too() -> None:
    """The same for what is sent without a script."""
    sent = {"SUBSCRIBE", "UNSUBSCRIBE", *commands_sent(Path(channel_layer.__file__).parent)}
    asked_for = {right[1:].upper() for right in permissions().split()[4:]}
    assert sent - {"AUTH", "PING", "SENTINEL"} <= asked_for


def commands_sent(folder: Path) -> set[str]:
    """The first words of all commands that are written as such in the Python files below `folder`."""
    found = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in SENDS:
                words = [
                    word.value for word in node.args if isinstance(word, ast.Constant) and isinstance(word.value, str)
                ]
                found |= {word for word in words[:1] if re.fullmatch("[A-Z]{3,}", word)}
    return found


@pytest.mark.parametrize(
    ("script", "arguments"), [(MAKE_INBOX, (1, "inbox:me", 60_000)), (MAKE_GROUP, (1, "c", "g", 60_000))]
)
def test_a_script_that_may_set_no_time_to_live_makes_no_key(
    server: RedisServer, script: Script, arguments: tuple[object, ...]
) -> None:
    """P11. Rights may be taken away while processes run."""
    allow(server, "~*", "+@all", "-pexpire")
    with server.client() as redis:
        redis.execute_command("AUTH", USER, PASSWORD)
        with pytest.raises(ResponseError, match="permission"):
            redis.execute_command("EVAL", script.text, *arguments)
        assert redis.keys("*") == []
