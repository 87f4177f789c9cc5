"""Options of other servers, and the message for each."""

from __future__ import annotations

import pytest

from towpath import command_line
from towpath.config import foreign_options
from towpath.config.options import ROWS


@pytest.mark.parametrize("option", foreign_options.ANSWERS)
def test_who_brings_an_option_of_another_server_along_is_told_what_to_say(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """No guess at another name, such as --help for --loop; and none of them is an option of ours by now."""
    assert command_line.run(["serve", "app", option, "auto"], lambda: None) == 2
    assert f"Error: {option}: {foreign_options.ANSWERS[option]}" in capsys.readouterr().err


def test_an_option_of_ours_has_no_such_message() -> None:
    """The message would never be seen, and would be wrong."""
    ours = {flag for row in ROWS for flag in row.flags.split("/")}
    assert not ours & set(foreign_options.ANSWERS)


def test_every_option_for_tls_has_one_message_and_a_typing_error_has_none() -> None:
    """uvicorn has nine of the former, and may get more; of the latter click knows the nearest name."""
    assert foreign_options.answer("--ssl-keyfile") == foreign_options.answer("--ssl-ciphers") == foreign_options.NO_TLS
    assert foreign_options.answer("--ssl") is None
    assert foreign_options.answer("--wrokers") is None


@pytest.mark.parametrize("text", sorted(set(foreign_options.ANSWERS.values())))
def test_an_option_that_a_message_names_exists(text: str) -> None:
    """Advice that leads to the next error is worse than none."""
    ours = {flag for row in ROWS for flag in row.flags.split("/")}
    assert {word.rstrip(",;:.)") for word in text.split() if word.startswith("--")} <= ours
