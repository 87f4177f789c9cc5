"""One table of options: its names, its types, and the settings that it fills."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import click
import pytest

from interface_server.settings import InterfaceSettings
from towpath.config import option_values, options
from towpath.config.options import INTERFACE, RELOAD, ROWS, SCALE, SERVE, STATUS, STOP, WORKER
from worker.settings import WorkerSettings

COMMANDS = (SERVE, INTERFACE, WORKER, STATUS, STOP, RELOAD, SCALE)

#: uvicorn's names that mean the same here, so that its users need not learn ours.
UVICORN = """--host --port --uds --fd --workers --app-dir --factory --interface --lifespan --loop --root-path --proxy-headers
--forwarded-allow-ips --access-log --log-level --log-config --limit-concurrency --backlog --timeout-keep-alive
--timeout-graceful-shutdown --ws-max-size --ws-ping-interval --ws-ping-timeout --ws-per-message-deflate --env-file --reload
--reload-dir --reload-include --reload-exclude --server-header --date-header --header --limit-max-requests
--limit-max-requests-jitter"""


def parse(command: str, *words: str, env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The values that click makes of `words` and of the environment."""
    found: dict[str, Any] = {}

    @options.options_of(command)
    @click.command(command)
    def target(**values: Any) -> None:
        found.update(values)

    with pytest.MonkeyPatch.context() as patch:
        for row in ROWS:
            for name in (row.env, *row.also_env):
                patch.delenv(name, raising=False)
        for name, value in (env or {}).items():
            patch.setenv(name, value)
        target.main(list(words), standalone_mode=False)
    return found


def test_serve_knows_every_name_that_it_shares_with_uvicorn() -> None:
    """A user of uvicorn types what they are used to."""
    known = {flag for row in ROWS if SERVE in row.commands for flag in row.flags.split("/")}
    assert set(UVICORN.split()) <= known


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_an_option_has_one_name_in_the_environment_for_all_commands(row: options.Row) -> None:
    """TOWPATH_PORT, never TOWPATH_SERVE_PORT."""
    option = row.option()
    assert isinstance(option.envvar, list)
    assert option.envvar[0] == "TOWPATH_" + row.flags.split("/")[0].removeprefix("--").upper().replace("-", "_")
    assert option.name == row.name


@pytest.mark.parametrize("row", [row for row in ROWS if row.fills], ids=lambda row: row.name)
def test_an_option_fills_settings_that_exist(row: options.Row) -> None:
    """A renamed setting breaks this test, not a user's command line."""
    for target in row.fills:
        group, _, attribute = target.partition(".")
        assert attribute in {field.name for field in dataclasses.fields(options.DEFAULTS[group])}


@pytest.mark.parametrize("command", COMMANDS)
def test_without_a_word_every_setting_has_its_default(command: str) -> None:
    """Defaults stand with the settings and nowhere else."""
    assert option_values.settings_of(parse(command)) == (InterfaceSettings(), WorkerSettings())


CHANGED = {
    "sticky": "cookie",
    "allow_mixed_apps": "true", "redis_wait": "77",
    "host": "0.0.0.0", "port": "81", "uds": "/tmp/x", "uds_permissions": "660", "fd": "3", "request_capacity": "12", "stall_timeout": "8",
    "half_close_timeout": "4",
    "resume_websockets": "true", "resume_wait": "99", "redis_outage_timeout": "44", "drain_delay": "2", "backlog": "7", "redis": "redis://h:1/2",
    "prefix": "p:", "buffer_budget": "2MiB", "queue_wait": "1.5", "app_dir": "src", "interface": "wsgi", "lifespan": "on",
    "threads": "3", "worker_concurrency": "4", "worker_streams": "6", "worker_websockets": "5", "root_path": "/r",
    "forwarded_allow_ips": "*", "header": "A: b c", "health_path": "/h", "log_level": "debug", "limit_concurrency": "9",
    "max_body_size": "1GiB",
    "max_head_size": "128KiB", "max_target_size": "60KiB", "max_headers": "301",
    "response_timeout": "2", "body_timeout": "7", "timeout_keep_alive": "3", "timeout_graceful_shutdown": "4", "ws_max_size": "64KiB",
    "ws_ping_interval": "0", "ws_ping_timeout": "6", "ws_push_buffer": "2MiB", "ws_push_timeout": "9",
    "ws_per_message_deflate": "true", "proxy_headers": "false",
    "server_header": "false", "date_header": "false", "access_log": "false", "factory": "true", "reuse_port": "true",
    "limit_max_requests": "10", "limit_max_requests_jitter": "2", "max_worker_age": "3", "max_worker_rss": "1GiB",
    "worker_timeout": "5", "loop": "asyncio",
}  # fmt: skip


def test_serve_hands_on_every_option_by_the_environment() -> None:
    """What `serve` was told, its interface servers and workers are told, whatever the value needs no quoting for."""
    given = parse(SERVE, env={f"TOWPATH_{name.upper()}": value for name, value in CHANGED.items()})
    told = option_values.environment(given)
    interface, worker = option_values.settings_of(given)
    assert option_values.settings_of(parse(INTERFACE, env=told))[0] == interface
    assert option_values.settings_of(parse(WORKER, env=told))[1] == worker
    assert {row.name for row in ROWS if row.fills} - set(CHANGED) == {
        "log_config",  # which needs a file
        "generation",  # which `serve` says by itself
    }


def test_a_reload_changes_what_concerns_workers_alone() -> None:
    """Interface servers stay as they are; what they and workers must agree on stays with them."""
    began = parse(SERVE, "--queue-wait", "9", "--threads", "2")
    now = parse(SERVE, "--queue-wait", "8", "--threads", "3", "--port", "81", "--redis", "redis://h")
    assert option_values.merged_for_workers(began, now) == {**began, "threads": 3}
    assert sorted(option_values.ignored_changes(began, now)) == ["--port", "--queue-wait", "--redis"]
    assert option_values.ignored_changes(began, began) == []


def test_several_headers_travel_with_their_spaces_and_marks() -> None:
    """A configuration file with headers would need care for `;`, `#` and `%`; we do not write them there."""
    given = parse(SERVE, "--header", "X-A: 1 ; #2 %s", "--header", "X-B:é")
    assert parse(INTERFACE, env=option_values.environment(given))["header"] == (("X-A", "1 ; #2 %s"), ("X-B", "é"))


def test_health_can_be_turned_off_through_the_environment() -> None:
    """An empty variable means "not set" to click: hence a word for it."""
    given = parse(SERVE, "--health-path", "off")
    told = option_values.environment(given)
    assert option_values.settings_of(parse(INTERFACE, env=told))[0].health_path == ""


def test_the_number_of_workers_is_found_where_platforms_put_it() -> None:
    """WEB_CONCURRENCY, unless something of ours was said."""
    assert parse(SERVE)["workers"] == 1
    assert parse(SERVE, env={"WEB_CONCURRENCY": "3"})["workers"] == 3
    assert parse(SERVE, env={"WEB_CONCURRENCY": "3", "TOWPATH_WORKERS": "2"})["workers"] == 2
    assert parse(SERVE, "--workers", "5", env={"WEB_CONCURRENCY": "3"})["workers"] == 5


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [("0", 0), ("65536", 65536), ("64KiB", 65536), ("1 MiB", 2**20), ("2g", 2**31), ("1kB", 1000)],
)
def test_a_size_may_have_a_unit(text: str, size_bytes: int) -> None:
    """Bytes without one; KiB, MiB, GiB are powers of two."""
    assert parse(SERVE, "--buffer-budget", text)["buffer_budget"] == size_bytes


@pytest.mark.parametrize("command", sorted(options.FIND_SERVE | {INTERFACE}))
def test_the_address_of_a_kubernetes_service_is_no_value_of_ours(
    command: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """P12. A Service called `towpath` sets TOWPATH_PORT in every pod; `status`, `stop` and the others go on as if it had not."""
    said = parse(command, env={"TOWPATH_PORT": "tcp://10.96.0.7:80"})
    assert said["port"] == 8000
    assert parse(command, env={"TOWPATH_PORT": "81"})["port"] == 81
    assert ("TOWPATH_PORT=tcp://10.96.0.7:80" in capfd.readouterr().err) == (command in {SERVE, INTERFACE})
