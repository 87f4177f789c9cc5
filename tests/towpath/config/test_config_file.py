"""What a TOML file says for one command, and the sentence about each thing that may be wrong in it."""

from __future__ import annotations

import tomllib

import pytest

from towpath.config import config_file
from towpath.config.config_file import kind_of, nearest, shown
from towpath.config.option_row import INTERFACE, PROCESSES, SERVE, STATUS, STOP, WORKER
from towpath.config.options import ROWS
from towpath.errors import StartFailure

SITE = """
app = "mysite.asgi"
log-level = "debug"
port = 81
interface = "wsgi"

[serve]
workers = 3
port = 82
header = ["x-a: b", "x-b: c"]

[worker]
threads = 2
"""


def values(text: str, command: str) -> dict[str, object]:
    return config_file.read(tomllib.loads(text), command, ROWS, "site.toml").values


def test_a_command_has_what_stands_at_the_top_and_in_its_own_table() -> None:
    """The table comes before the top; what a command does not have is for others."""
    common = {"app": "mysite.asgi", "log_level": "debug", "interface": "wsgi"}
    assert values(SITE, SERVE) == {**common, "workers": 3, "port": 82, "header": ["x-a: b", "x-b: c"]}
    assert values(SITE, WORKER) == {**common, "threads": 2}
    assert values(SITE, INTERFACE) == {"log_level": "debug", "port": 81}


def test_what_searches_for_a_serve_has_the_settings_of_a_serve() -> None:
    """`towpath stop --config site.toml` means the one that was started with this file."""
    assert values(SITE, STOP) == {"port": 82}
    assert values("redis = 'unix:///r'\n[serve]\nprefix = 'p:'", STATUS) == {"redis": "unix:///r", "prefix": "p:"}


def test_each_value_is_known_by_the_key_under_which_it_stands() -> None:
    """An error names it as it is written in the file."""
    keys = config_file.read(tomllib.loads(SITE), SERVE, ROWS, "site.toml").keys
    assert (keys["log_level"], keys["port"], keys["app"]) == ("log-level", "serve.port", "app")


#: A file, and the sentence about it.
WRONG = {
    "wokers = 3": "site.toml: wokers = 3 is no setting; did you mean workers?",
    "ws_max_size = 3": "site.toml: ws_max_size = 3 is no setting; did you mean ws-max-size?",
    "[serve]\nzzz = 3": "site.toml: [serve] zzz = 3 is no setting; `towpath config` lists those there are",
    "[interface]\nworkers = 3": "site.toml: [interface] workers = 3: workers is a setting of `serve`",
    "[interface]\napp = 'a'": 'site.toml: [interface] app = "a" is no setting; ',
    "[serve]\nchannel = ['a']": 'site.toml: [serve] channel = ["a"]: channel is a setting of `worker`',
    "[workers]\na = 1": "site.toml: [workers] is no table of settings; there are [serve], [interface] and [worker]",
    "worker = 4": "site.toml: worker = 4 is no setting; [worker] is a table of settings",
    "workers = '3'": 'site.toml: workers = "3" is not a whole number, without quotes, such as workers = 1',
    "workers = true": "site.toml: workers = true is not a whole number, without quotes, such as workers = 1",
    "workers = 1.5": "site.toml: workers = 1.5 is not a whole number, without quotes, such as workers = 1",
    "queue-wait = '30s'": 'site.toml: queue-wait = "30s" is not a number of seconds, without quotes, such as queue-wait = 30.0',
    "ws-max-size = 1.5": "site.toml: ws-max-size = 1.5 is not a number of bytes, or a size in quotes, such as ws-max-size = 1048576",
    "factory = 'yes'": 'site.toml: factory = "yes" is not true or false, such as factory = false',
    "uds-permissions = 660": 'site.toml: uds-permissions = 660 is not a text in quotes, such as uds-permissions = "…"',
    "header = 'a: b'": 'site.toml: header = "a: b" is not a list of texts, such as header = ["…"]',
    "header = [1]": 'site.toml: header = [1] is not a list of texts, such as header = ["…"]',
    "no-access-log = true": "site.toml: no-access-log = true is no setting; write access-log = false",
    "bind = '0:80'": 'site.toml: bind = "0:80" is no setting of Towpath: use --host and --port, or --uds for a unix socket',
    "worker_class = 'x'": 'site.toml: worker_class = "x" is no setting of Towpath: there is one class of workers; ',
    "config = 'other.toml'": 'site.toml: config = "other.toml" is no setting: a configuration file cannot name another',
    "host = 2020-01-01": "site.toml: host = 2020-01-01 is not a text in quotes, such as host = ",
}


@pytest.mark.parametrize("command", [SERVE, INTERFACE, STOP])
@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_in_a_file_is_one_sentence_for_every_command(text: str, command: str) -> None:
    """P12. With the file, the key, the value, and what would be right; also where the command would not use it."""
    with pytest.raises(StartFailure) as caught:
        values(text, command)
    assert str(caught.value).startswith(WRONG[text])


@pytest.mark.parametrize("key", ["redis_url", "redis-password", "encryption_keys", "encryption-key", "secret"])
def test_a_sentence_shows_no_secret_even_under_a_key_that_is_none(key: str) -> None:
    """It ends in a log."""
    for text in (f"{key} = 'hush'", f"{key} = ['hush']", f"[serve]\n{key} = 'hush'", f"port = {{{key} = 'hush'}}"):
        with pytest.raises(StartFailure) as caught:
            values(text, SERVE)
        assert "hush" not in str(caught.value)
    with pytest.raises(StartFailure) as caught:
        values("redis = ['redis://:hush@h']", SERVE)
    assert str(caught.value) == 'site.toml: redis = … is not a text in quotes, such as redis = "…"'


def test_a_long_value_is_cut() -> None:
    with pytest.raises(StartFailure) as caught:
        values(f"zzz = '{'x' * 5000}'", SERVE)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.commands & PROCESSES and row.in_file], ids=lambda row: row.key
)
def test_the_default_of_an_option_may_be_written_as_it_is_shown(row: config_file.Row) -> None:
    """The example in a sentence would be accepted; and no option has a kind that its own default is not of."""
    kind = kind_of(row)
    if row.default not in (None, "", ()):
        assert kind.fits(row.default), row.flags
        assert tomllib.loads(f"key = {shown(row.default)}") == {"key": row.default}


def test_toml_reads_what_is_shown() -> None:
    """Quotes, marks and nested values come back as they were."""
    for value in (True, 3, 1.5, 'a "b" \\ é\n', ["a", "b"], {"a": 1}):
        assert tomllib.loads(f"key = {shown(value)}") == {"key": value}
    assert shown({"password": "hush"}) == "{password = …}"


def test_the_nearest_name_is_found_whatever_joins_its_words() -> None:
    assert nearest("ws_maxsize", ["ws-max-size", "port"]) == "ws-max-size"
    assert nearest("qqq", ["ws-max-size", "port"]) == ""
