"""What Redis says when it refuses a connection is said in words that name the remedy."""

from __future__ import annotations

import pytest

from channel_layer.errors import LayerUnavailable, LayerUnusable, NothingSent
from channel_layer.redis.rejection_reasons import (
    explained,
    is_cut_off,
    is_passing,
    is_rejection,
    refusal,
    refuses_all,
    script_error,
    why_unreachable,
)


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        ("WRONGPASS invalid username-password pair or user is disabled.", "the user name or the password is wrong"),
        ("invalid username-password pair or user is disabled.", "the user name or the password is wrong"),
        ("NOAUTH Authentication required.", "it requires a password, and the URL has none"),
        ("Authentication required.", "it requires a password, and the URL has none"),
        (
            "HELLO must be called with the client already authenticated, otherwise",
            "it requires a password, and the URL has none",
        ),
        ("ERR max number of clients reached", "it has as many clients as its maxclients allows"),
    ],
)
def test_a_refusal_is_explained_and_still_told_as_redis_tells_it(error: str, meaning: str) -> None:
    """P9. redis-py leaves the code out, hiredis does not."""
    assert explained(Exception(error)) == f"{meaning} ({error})"
    assert is_rejection(Exception(error))


def test_any_other_error_is_left_as_it_is() -> None:
    """A connection that broke is tried again at once; a refusal is not."""
    assert explained(OSError("Connection reset by peer")) == "Connection reset by peer"
    assert not is_rejection(OSError("Connection reset by peer"))
    assert is_cut_off(OSError("Connection reset by peer")) and not is_cut_off(TimeoutError("timed out"))


@pytest.mark.parametrize(
    ("error", "known"),
    [
        (Exception("OOM command not allowed when used memory > 'maxmemory'."), True),
        (Exception("READONLY You can't write against a read only replica."), True),
        (NothingSent("not connected to Redis"), True),
        (LayerUnavailable("the connection to Redis was lost"), False),
        (Exception("NOPERM this user has no permissions to access the channel"), False),  # perhaps in the middle of it
        (None, False),
    ],
)
def test_of_a_script_it_is_known_that_it_did_nothing_only_where_redis_refuses_it_as_a_whole(
    error: object, known: bool
) -> None:
    """P12. A call that may have sent anything must not be told as one that has sent nothing."""
    assert script_error(error).known is known
    assert refuses_all(error) is (known and not isinstance(error, NothingSent))


@pytest.mark.parametrize(
    ("error", "retry"),
    [
        ("WRONGPASS invalid username-password pair or user is disabled.", False),
        ("invalid username-password pair or user is disabled.", False),
        ("NOAUTH Authentication required.", False),
        ("NOPERM User bargee has no permissions to run the 'publish' command", False),
        ("NOPERM No permissions to access a channel", False),
        ("ACL failure in script: User bargee has no permissions to run the 'xadd' command", False),
        ("ERR max number of clients reached", True),
        ("OOM command not allowed when used memory > 'maxmemory'.", True),
        ("LOADING Redis is loading the dataset in memory", True),
    ],
)
def test_what_only_an_operator_can_change_is_not_worth_another_attempt(error: str, retry: bool) -> None:
    assert refusal(Exception(error)).retry is retry and refusal(Exception(error)).known


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        ("LOADING Redis is loading the dataset in memory", True),
        ("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", True),
        ("BUSY Redis is busy running a script.", True),
        ("it is a replica at present", True),
        ("ERR max number of clients reached", True),
        ("WRONGPASS invalid username-password pair or user is disabled.", False),
        ("NOPERM this user has no permissions to run the 'info' command", False),
    ],
)
def test_a_server_that_is_not_ready_yet_is_told_from_one_that_never_will_be(error: str, passes: bool) -> None:
    """P9. A start waits for the first."""
    assert is_passing(Exception(error)) is passes


def test_a_password_that_comes_from_a_file_may_be_right_the_next_time() -> None:
    assert refusal("WRONGPASS", rotated=True).retry and not refusal("WRONGPASS invalid password").retry


def test_of_several_servers_one_that_may_answer_later_is_enough() -> None:
    assert refusal("NOAUTH Authentication required.", "no answer").retry
    assert not refusal("NOAUTH Authentication required.", "WRONGPASS").retry


def test_a_script_that_found_no_connection_ends_as_that_says() -> None:
    assert script_error(LayerUnusable("not connected: the password is wrong")) is LayerUnusable


def test_there_is_always_a_reason() -> None:
    """P9. Errors of sockets may be without a text."""
    assert why_unreachable(TimeoutError(), tls=True) == "no answer; a port without TLS gives none to rediss://"
    assert why_unreachable(TimeoutError("timed out"), tls=False) == "no answer"
    assert why_unreachable(ConnectionResetError(), tls=True) == "ConnectionResetError"
    assert why_unreachable(ConnectionRefusedError("refused"), tls=True) == "refused"
