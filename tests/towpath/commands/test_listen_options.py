"""Two addresses where one can be listened on: refused, or the one that was typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from towpath import command_line


@pytest.mark.parametrize(
    "words",
    [
        "--bind a:1 --port 2",
        "--port 2 --bind a:1",
        "--bind unix:/a --uds /b",
        "--bind a:1 --uds /b",
        "--port 2 --uds /b",
        "--host a --fd 3",
        "--uds /b --fd 3",
    ],
)
def test_two_addresses_in_different_options_are_refused_too(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One of them would be dropped without a word."""
    assert command_line.run(["serve", "app", *words.split()], lambda: None) == 2
    assert "both say where to listen; give one of them" in capsys.readouterr().err


def test_a_typed_port_comes_before_a_unix_socket_in_a_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As with every option, what is typed comes first."""
    monkeypatch.setenv("TOWPATH_UDS", "/run/site.sock")
    assert command_line.run(["config", "--port", "81"], lambda: None) == 0
    assert "site.sock" not in capsys.readouterr().out


def test_two_addresses_in_one_configuration_file_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "site.toml"
    file.write_text('port = 81\nuds = "/run/site.sock"\n')
    assert command_line.run(["config", "--config", str(file)], lambda: None) == 2
    assert "--port and --uds both say where to listen" in capsys.readouterr().err


def test_a_second_address_in_a_variable_is_no_mistake(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Platforms set PORT, whatever else says where to listen."""
    monkeypatch.setenv("PORT", "81")
    assert command_line.run(["config", "--uds", "/run/site.sock"], lambda: None) == 0
    assert "/run/site.sock" in capsys.readouterr().out
