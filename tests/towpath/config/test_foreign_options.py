"""Options of other servers: those that are understood, and the message for each of the others."""

from __future__ import annotations

import pytest

from tests.support import other_servers
from towpath import command_line
from towpath.config import foreign_options
from towpath.config.foreign_options import BINDS, WORKERS, understood
from towpath.config.options import ROWS

OURS = {flag for row in ROWS for flag in row.flags.split("/")}
UNDERSTOOD = {*BINDS, WORKERS}


@pytest.mark.parametrize("option", sorted(set(foreign_options.ANSWERS) - UNDERSTOOD))
def test_who_brings_an_option_of_another_server_along_is_told_what_to_say(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """No guess at another name, such as --help for --loop; and none of them is an option of ours by now."""
    assert command_line.run(["serve", "app", option, "auto"], lambda: None) == 2
    assert f"Error: {option}: {foreign_options.ANSWERS[option]}" in capsys.readouterr().err


def test_an_option_of_ours_has_no_such_message() -> None:
    """The message would never be seen, and would be wrong."""
    assert not OURS & set(foreign_options.ANSWERS)


@pytest.mark.parametrize("server", ["uvicorn", "gunicorn", "daphne"])
def test_every_option_of_the_installed_servers_is_ours_is_understood_or_has_a_message(server: str) -> None:
    """A new version of theirs that brings an option breaks this test, not the patience of its users."""
    theirs: set[str] = getattr(other_servers, server)()
    assert len(theirs) > 20
    assert sorted(flag for flag in theirs - OURS if foreign_options.answer(flag) is None) == []


KNOWN = {"--host", "--port", "--uds", "--fd", "--workers"}


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("-b 0.0.0.0:80", "--host 0.0.0.0 --port 80"),
        ("--bind=0.0.0.0:80", "--host 0.0.0.0 --port 80"),
        ("-b0.0.0.0:80", "--host 0.0.0.0 --port 80"),
        ("-b 10.0.0.1", "--host 10.0.0.1"),
        ("-b :80", "--host 0.0.0.0 --port 80"),
        ("-b [::]:80", "--host :: --port 80"),
        ("-b tcp://localhost:0", "--host localhost --port 0"),
        ("-b unix:/run/a.sock", "--uds /run/a.sock"),
        ("-b unix:///run/a.sock", "--uds /run/a.sock"),
        ("-b fd://3", "--fd 3"),
        ("-w 4", "--workers 4"),
        ("-w4", "--workers 4"),
        ("-w", "--workers"),
        ("-b", "-b"),
        ("app:x --wsgi -- -w 4", "app:x --wsgi -- -w 4"),
    ],
)
def test_the_two_that_mean_exactly_what_ours_do_are_understood(words: str, meant: str) -> None:
    """gunicorn's address, in all its forms, and the number of workers."""
    assert understood(words.split(), KNOWN) == meant.split()


def test_they_are_left_alone_where_the_command_has_no_such_option() -> None:
    """`towpath worker -b` gets the message."""
    assert understood(["-b", "x:80", "-w", "4"], {"--threads"}) == ["-b", "x:80", "-w", "4"]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("worker app -w 2", "-w: this is one process; start another one"),
        ("interface -w 2", "-w: this is one process; start another one"),
        ("status -w 2", "-w: `towpath scale worker=N` changes their number"),
        ("worker app -b :80", "-b: a worker listens nowhere"),
        ("status -b :80", "-b: a running `serve` is found by its --port, --uds or --run-dir"),
        (
            "interface -k gthread",
            "-k: not an option of `towpath interface`; for `towpath serve`: there is one class",
        ),
        (
            "worker app --endpoint x",
            "--endpoint: not an option of `towpath worker`; for `towpath serve`: use --host",
        ),
        ("worker app --check-config", "--check-config: `towpath config` shows the settings"),
    ],
)
def test_the_message_names_no_option_that_the_command_does_not_have(
    words: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The advice would be the next error."""
    assert command_line.run(words.split(), lambda: None) == 2
    assert f"Error: {text}" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["0.0.0.0:http", "0.0.0.0:65536", "a b", "", "unix:", "fd://x", "::1", "8198"])
def test_what_is_no_address_is_named_with_what_would_be_one(text: str) -> None:
    with pytest.raises(ValueError, match=r"^-b .*is no address such as 0\.0\.0\.0:8000"):
        understood(["-b", text], KNOWN)


def test_a_second_address_is_refused() -> None:
    """gunicorn would listen on both."""
    with pytest.raises(ValueError, match="there is one address, and it is a:1 already"):
        understood(["-b", "a:1", "--bind", "b:2"], KNOWN)


def test_a_host_by_bind_and_its_port_are_one_address() -> None:
    assert understood("-b 10.0.0.1 --port 80".split(), KNOWN) == "--host 10.0.0.1 --port 80".split()


def test_an_address_reaches_the_server_and_a_wrong_one_ends_it(capsys: pytest.CaptureFixture[str]) -> None:
    """Through the command line as it is typed."""
    assert command_line.run(["config", "-b", "localhost:81", "-w", "3"], lambda: None) == 0
    shown = [line.split("#")[0].strip() for line in capsys.readouterr().out.splitlines()]
    assert {'host = "localhost"', "port = 81", "workers = 3"} <= set(shown)
    assert command_line.run(["serve", "app", "-b", "nowhere:x"], lambda: None) == 2
    assert "Error: -b nowhere:x: 'nowhere:x' is no address" in capsys.readouterr().err


def test_an_option_of_another_command_is_named_with_its_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.run(["worker", "app", "--backlog", "8"], lambda: None) == 2
    assert "Error: --backlog: not an option of `towpath worker`, but of interface and serve" in capsys.readouterr().err


def test_every_option_for_tls_has_one_message_and_a_typing_error_has_none() -> None:
    """uvicorn has nine of the former, and may get more; of the latter click knows the nearest name."""
    assert foreign_options.answer("--ssl-keyfile") == foreign_options.answer("--ssl-ciphers") == foreign_options.NO_TLS
    assert foreign_options.answer("--ssl") is None
    assert foreign_options.answer("--wrokers") is None


@pytest.mark.parametrize("text", sorted(set(foreign_options.ANSWERS.values())))
def test_an_option_that_a_message_names_exists(text: str) -> None:
    """Advice that leads to the next error is worse than none."""
    named = {word.strip(",;:.)`") for word in text.split() if word.startswith("--")}
    assert named <= OURS | {"--check"}  # of `worker` alone


def test_a_restart_is_a_reload(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.run(["restart"], lambda: None) == 2
    assert "Did you mean: towpath reload" in capsys.readouterr().err
