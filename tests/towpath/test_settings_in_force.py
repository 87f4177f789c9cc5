"""`towpath config`, and the one order of the four ways to a setting."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.serving import BIN, environment
from towpath import command_line


def config(*words: str | Path, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    command = [str(word) for word in (BIN / "towpath", "config", *words)]
    return subprocess.run(command, cwd=cwd, env=environment(env), capture_output=True, text=True, timeout=60)


def in_force(*words: str | Path, cwd: Path | None = None, **env: str) -> dict[str, dict[str, Any]]:
    """What `--json` says."""
    ended = config(*words, "--json", cwd=cwd, **env)
    assert ended.returncode == 0, ended.stderr
    found: dict[str, dict[str, Any]] = json.loads(ended.stdout)
    return found


def test_there_is_one_order_of_all_ways_to_a_setting(tmp_path: Path) -> None:
    """Command line, environment, --env-file, --config, default; and each value says where it is from."""
    (tmp_path / "site.toml").write_text("[serve]\nthreads = 1\nworkers = 1\nport = 1\nbacklog = 1\n")
    (tmp_path / ".env").write_text("TOWPATH_THREADS=2\nTOWPATH_WORKERS=2\nTOWPATH_PORT=2\n")
    words = ["--config", "site.toml", "--env-file", ".env", "--threads", "4"]
    shown = in_force(*words, cwd=tmp_path, TOWPATH_THREADS="3", TOWPATH_WORKERS="3")
    assert {name: shown[name] for name in ("threads", "workers", "port", "backlog", "host")} == {
        "threads": {"value": 4, "from": "command line"},
        "workers": {"value": 3, "from": "TOWPATH_WORKERS"},
        "port": {"value": 2, "from": "TOWPATH_PORT in .env"},
        "backlog": {"value": 1, "from": "serve.backlog in site.toml"},
        "host": {"value": "127.0.0.1", "from": "default"},
    }


@pytest.mark.parametrize("how", ["command line", "variables", "config names env file", "env file names config"])
def test_each_of_the_two_files_may_be_named_by_the_other(tmp_path: Path, how: str) -> None:
    """And both by variables, as in a container."""
    (tmp_path / "site.toml").write_text(
        'threads = 7\napp = "a:b"\n' + 'env-file = ".env"\n' * (how == "config names env file")
    )
    (tmp_path / ".env").write_text(
        "TOWPATH_WORKERS=5\n" + "TOWPATH_CONFIG=site.toml\n" * (how == "env file names config")
    )
    words = ["--env-file", ".env", "--config", "site.toml"] if how == "command line" else []
    env = {
        "variables": {"TOWPATH_CONFIG": "site.toml", "TOWPATH_ENV_FILE": ".env"},
        "config names env file": {"TOWPATH_CONFIG": "site.toml"},
        "env file names config": {"TOWPATH_ENV_FILE": ".env"},
    }.get(how, {})
    shown = in_force(*words, cwd=tmp_path, **env)
    assert shown["threads"] == {"value": 7, "from": "threads in site.toml"}
    assert shown["workers"] == {"value": 5, "from": "TOWPATH_WORKERS in .env"}
    assert shown["app"] == {"value": "a:b", "from": "app in site.toml"}


def test_a_file_that_an_env_file_names_must_be_there(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("TOWPATH_CONFIG=nowhere.toml\n")
    for words in ([], ["--env-file", ".env"]):
        ended = config(*words, cwd=tmp_path, **({} if words else {"TOWPATH_ENV_FILE": ".env"}))
        assert ended.returncode == 3
        assert "nowhere.toml" in ended.stderr


def test_what_is_shown_is_a_file_that_says_the_same(tmp_path: Path) -> None:
    """An operator may begin with it."""
    words = [
        "--port",
        "81",
        "--header",
        "x-a: 'b\"",
        "--ws-max-size",
        "2MiB",
        "--health-path",
        "off",
        "--reload-include",
        "*.html",
    ]
    before = in_force(*words)
    (tmp_path / "site.toml").write_text(config(*words).stdout)
    after = in_force("--config", tmp_path / "site.toml")
    assert {key: each["value"] for key, each in after.items()} == {key: each["value"] for key, each in before.items()}


@pytest.mark.parametrize("command", ["serve", "interface", "worker"])
def test_each_command_shows_its_own_settings(command: str) -> None:
    """`serve` without a name; and none needs an APP."""
    shown = in_force(command, TOWPATH_APP="a:b")
    assert ("backlog" in shown) == (command != "worker") and ("threads" in shown) == (command != "interface")
    assert ("app" in shown) == (command != "interface")
    assert shown["redis"]["value"] == (None if command == "serve" else "redis://127.0.0.1:6379/0")


def test_reload_changes_two_defaults_and_that_is_shown() -> None:
    shown = in_force("--reload", "--worker-timeout", "9")
    assert shown["timeout-graceful-shutdown"] == {"value": 1, "from": "default with --reload"}
    assert shown["worker-timeout"] == {"value": 9, "from": "command line"}


def test_no_secret_is_shown_or_told(tmp_path: Path) -> None:
    """Wherever it comes from, and whether it is right or wrong."""
    (tmp_path / "site.toml").write_text(
        'redis = "redis://u:hush@h"\nencryption-keys = "K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72"\n'
    )
    for words in ([], ["--json"]):
        ended = config("--config", "site.toml", *words, cwd=tmp_path)
        assert ended.returncode == 0 and "***" in ended.stdout
        assert not {"hush", "K7gNU"} & {word for word in ("hush", "K7gNU") if word in ended.stdout + ended.stderr}
    (tmp_path / "site.toml").write_text('redis = "redis://u:hush@h:x"\n')
    ended = config("--config", "site.toml", cwd=tmp_path)
    assert ended.returncode == 3 and "hush" not in ended.stderr and "redis in site.toml" in ended.stderr


def test_a_failure_names_the_setting_that_led_to_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """P12. As it was written: the flag, the variable, the key."""
    file = tmp_path / "site.toml"
    file.write_text('[interface]\nhost = "192.0.2.1"\n')
    said = "towpath: 192.0.2.1 is not an address of this machine"
    assert command_line.run(["interface", "--config", str(file)], lambda: None) == 3
    assert capsys.readouterr().err == f"{said} (from interface.host in {file})\n"
    monkeypatch.setenv("TOWPATH_HOST", "192.0.2.1")
    assert command_line.run(["interface"], lambda: None) == 3
    assert capsys.readouterr().err == f"{said} (from TOWPATH_HOST)\n"
    assert command_line.run(["interface", "--host", "192.0.2.1"], lambda: None) == 3
    assert capsys.readouterr().err == f"{said} (--host)\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["workers"], ["No such command 'workers'. Did you mean `towpath config worker`?", "a line of `towpath config serve`,"]),
        (["server"], ["No such command 'server'. Did you mean `towpath config serve`?", "as server:application."]),
        (["status"], ["`towpath config serve|interface|worker`"]),
        (["--json", "port"], ["'port' stands where APP belongs", "`towpath config serve` and `towpath config interface`"]),
        (["serve", "ws_max_size"], ["The setting ws-max-size", "as ws_max_size:application."]),
    ],
)  # fmt: skip  # a table
def test_the_name_of_a_command_or_setting_is_no_app(
    words: list[str], said: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """P12. It is answered with what was meant, in the place of settings in force that were not asked for."""
    assert command_line.run(["config", *words], lambda: None) == 2
    told = capsys.readouterr()
    assert told.out == "" and all(part in told.err for part in said)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["interface", "example"], "'example' is too much here: an interface server loads no application, `towpath worker APP`"),
        (["config", "interface", "example"], "'example' is too much here: an interface server loads no application"),
        (["serve", "example", "other", "more"], "'other more' is too much here: there is one APP"),
        (["status", "worker-0"], "'worker-0' is too much here: a running `serve` is found by its --port"),
    ],
)  # fmt: skip  # a table
def test_a_word_too_many_is_answered_with_what_is_taken(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """P12. An interface server has no APP, which the command of a worker needs."""
    assert command_line.run(words, lambda: None) == 2
    told = capsys.readouterr()
    assert told.out == "" and said in told.err


@pytest.mark.parametrize("words", [["example"], ["workers:application"], ["--interface", "wsgi"], ["-b", ":8000"], []])
def test_an_app_or_an_option_begins_the_settings_of_serve(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other side of the limit; and a variable is never taken for a word that stands in the wrong place."""
    monkeypatch.setenv("TOWPATH_APP", "workers")
    assert command_line.run(["config", *words], lambda: None) == 0
    assert capsys.readouterr().out.startswith("[serve]\n")
