"""One table of options: its names, its types, and the settings that it fills."""

from __future__ import annotations

import dataclasses

import pytest

from interface_server.settings import InterfaceSettings
from tests.towpath.config.parsing import parse
from towpath.config import option_values
from towpath.config.option_row import DEFAULTS, INTERFACE, REBALANCE, RELOAD, SCALE, SERVE, STATUS, STOP, WORKER, Row
from towpath.config.options import ROWS
from worker.settings import WorkerSettings

COMMANDS = (SERVE, INTERFACE, WORKER, STATUS, STOP, RELOAD, SCALE, REBALANCE)

#: uvicorn's names that mean the same here, so that its users need not learn ours.
UVICORN = """--host --port --uds --fd --workers --app-dir --factory --interface --lifespan --loop --root-path --proxy-headers
--forwarded-allow-ips --access-log --log-level --log-config --limit-concurrency --backlog --timeout-keep-alive
--timeout-graceful-shutdown --ws-max-size --ws-ping-interval --ws-ping-timeout --ws-per-message-deflate --env-file --reload
--reload-dir --reload-include --reload-exclude --server-header --date-header --header --limit-max-requests
--limit-max-requests-jitter"""


def test_serve_knows_every_name_that_it_shares_with_uvicorn() -> None:
    """A user of uvicorn types what they are used to."""
    known = {flag for row in ROWS if SERVE in row.commands for flag in row.flags.split("/")}
    assert set(UVICORN.split()) <= known


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_an_option_has_one_name_in_the_environment_for_all_commands(row: Row) -> None:
    """TOWPATH_PORT, never TOWPATH_SERVE_PORT."""
    option = row.option()
    assert isinstance(option.envvar, list)
    assert option.envvar[0] == "TOWPATH_" + row.flags.split("/")[0].removeprefix("--").upper().replace("-", "_")
    assert option.name == row.name


@pytest.mark.parametrize("row", [row for row in ROWS if row.fills], ids=lambda row: row.name)
def test_an_option_fills_settings_that_exist(row: Row) -> None:
    """A renamed setting breaks this test, not a user's command line."""
    for target in row.fills:
        group, _, attribute = target.partition(".")
        assert attribute in {field.name for field in dataclasses.fields(DEFAULTS[group])}


@pytest.mark.parametrize("command", COMMANDS)
def test_without_a_word_every_setting_has_its_default(command: str) -> None:
    """Defaults stand with the settings and nowhere else."""
    assert option_values.settings_of(parse(command)) == (InterfaceSettings(), WorkerSettings())


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
