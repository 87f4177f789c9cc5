"""What becomes of option values: settings, variables for other processes, and what a reload may change."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from tests.towpath.config.parsing import parse
from towpath.config import option_values
from towpath.config.option_row import INTERFACE, SERVE, WORKER
from towpath.config.options import ROWS
from towpath.errors import StartFailure

CHANGED = {
    "admin_host": "::1", "admin_port": "9100", "traces": "true", "sticky": "cookie",
    "allow_mixed_apps": "true", "redis_wait": "77",
    "host": "0.0.0.0", "port": "81", "uds": "/tmp/x", "uds_permissions": "660", "fd": "3", "request_capacity": "12", "stall_timeout": "8",
    "half_close_timeout": "4",
    "resume_websockets": "true", "resume_wait": "99", "redis_outage_timeout": "44", "drain_delay": "2", "backlog": "7", "redis": "redis://h:1/2",
    "prefix": "p:", "buffer_budget": "2MiB", "queue_wait": "1.5", "app_dir": "src", "interface": "wsgi", "lifespan": "on",
    "threads": "3", "worker_concurrency": "4", "worker_streams": "6", "worker_websockets": "5", "root_path": "/r",
    "forwarded_allow_ips": "*", "header": "A: b c", "health_path": "/h", "log_level": "debug", "limit_concurrency": "9",
    "log_format": "json", "access_log_format": '%(h)s "%(r)s" 100%%',
    "max_body_size": "1GiB",
    "max_head_size": "128KiB", "max_target_size": "60KiB", "max_headers": "301",
    "response_timeout": "2", "body_timeout": "7", "timeout_keep_alive": "3", "timeout_graceful_shutdown": "4", "ws_max_size": "64KiB",
    "ws_ping_interval": "0", "ws_ping_timeout": "6", "ws_push_buffer": "2MiB", "ws_push_timeout": "9",
    "ws_per_message_deflate": "true", "proxy_headers": "false",
    "server_header": "false", "date_header": "false", "access_log": "false", "factory": "true", "reuse_port": "true",
    "limit_max_requests": "10", "limit_max_requests_jitter": "2", "max_worker_age": "3", "max_worker_rss": "1GiB",
    "channel_capacity": "7", "channel_expiry": "9", "direct_dispatch": "false", "rebalance_rate": "7",
    "worker_timeout": "5", "loop": "asyncio",
    "encryption_keys": "K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72 9f86d081884c7d659a2feaa0c55ad0159",
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
        "encryption_key_file",  # this one too
        "generation",  # which `serve` says by itself
        "channel",  # of workers that `serve` does not start
        "channel_concurrency",
        "channel_dead_letter",
        "channel_delivery",
        "channel_visibility_timeout",
        "channel_retries",
        "redis_url_file",  # in the place of `redis`
    }


def test_a_file_stands_in_the_place_of_the_url_for_every_process(tmp_path: Path) -> None:
    """P9. It is named as it was, links and all, and read by the process that connects."""
    file = tmp_path / "redis url"
    for variable in ("TOWPATH_REDIS_URL_FILE", "TOWPATH_REDIS_FILE"):
        given = parse(SERVE, env={variable: str(file)})
        assert option_values.redis_url(given) == file.as_uri()
        assert option_values.settings_of(given)[0].redis.url == file.as_uri()
    assert option_values.redis_url(parse(SERVE, "--redis", file.as_uri())) == file.as_uri()
    assert option_values.redis_url(parse(SERVE)) is None
    both = parse(SERVE, "--redis-url-file", str(file), env={"TOWPATH_REDIS": "redis://host"})
    with pytest.raises(StartFailure, match=r"--redis .* and --redis-url-file .* both say"):
        option_values.redis_url(both)


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


def test_encryption_keys_are_handed_on_with_spaces_between() -> None:
    """And a file by its absolute path, since a worker may be started in another folder."""
    given = parse(SERVE, env={"TOWPATH_ENCRYPTION_KEYS": CHANGED["encryption_keys"].replace(" ", "\n")})
    told = option_values.environment(given)
    assert told["TOWPATH_ENCRYPTION_KEYS"] == CHANGED["encryption_keys"]
    assert parse(WORKER, env=told)["encryption_keys"] == tuple(CHANGED["encryption_keys"].split())


def test_keys_are_never_taken_from_a_command_line() -> None:
    """Every user of the machine reads those."""
    with pytest.raises(click.UsageError, match="no secret: use --encryption-key-file") as caught:
        parse(SERVE, "--encryption-keys", CHANGED["encryption_keys"])
    assert "K7gNU" not in str(caught.value)
    with pytest.raises(click.BadParameter, match="key 1 of 1 has 5 characters"):
        parse(SERVE, env={"TOWPATH_ENCRYPTION_KEYS": "short"})


def test_a_key_file_is_named_by_an_absolute_path_with_its_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kubernetes replaces the link at a rotation, and leaves the file that it led to."""
    (tmp_path / "first").write_text(CHANGED["encryption_keys"].replace(" ", "\n"))
    (tmp_path / "keys").symlink_to("first")
    monkeypatch.chdir(tmp_path)
    assert parse(SERVE, "--encryption-key-file", "keys")["encryption_key_file"] == str(tmp_path / "keys")
    (tmp_path / "first").write_text("short")
    with pytest.raises(click.BadParameter, match="'keys' cannot be used: encryption key 1 of 1 has 5 characters"):
        parse(SERVE, "--encryption-key-file", "keys")
